package platform

import (
	"os"
	"runtime/debug"
)

// serviceGC is the GOGC of a service. Idle devices are most of its memory, and
// last: at Go's own 100 the heap may grow to twice what they need before anything
// is collected, and a cycle costs little, as few of them are touched.
const serviceGC = 50

// TuneMemory has this process collect garbage as suits a service that holds very
// many devices. GOGC in the environment overrules it. It is for main.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(serviceGC)
	}
}
