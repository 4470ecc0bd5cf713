package platform

import (
	"os"
	"runtime/debug"
)

// serviceGC is the GOGC of a service. Idle devices are most of its memory, and
// last: at Go's own 100 the heap may grow to twice what they need before anything
// is collected, and a cycle costs little, as few of them are touched.
const serviceGC = 50

// serverGC is the GOGC of a push server, which holds little, and makes much with each
// request: at 50 a message costs a fifth more of the processor.
const serverGC = 200

// TuneMemory has this process collect garbage as suits a service that holds very
// many devices. GOGC in the environment overrules it. It is for main.
func TuneMemory() { tune(serviceGC) }

// TuneSpeed has this process collect garbage as suits one that answers many requests and
// holds little. GOGC in the environment overrules it. It is for main.
func TuneSpeed() { tune(serverGC) }

func tune(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
