package platform

import (
	"os"
	"runtime"
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
// holds little, and use enough threads for the few who are in haste not to wait for the
// many. GOGC and GOMAXPROCS in the environment overrule it. It is for main.
func TuneSpeed() {
	tune(serverGC)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(threads(runtime.NumCPU(), runtime.GOMAXPROCS(0)))
	}
}

func tune(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// leastThreads is how many threads of a push server may run Go code at a time: more than
// a broadcast keeps busy. With none to spare Go looks at the network only every 10 ms,
// and lets each that is ready wait for its turn, at each of the steps of an urgent push;
// with one that sleeps until something comes, the system runs that at once.
const leastThreads = 8

// threads returns how many threads may run Go code on a machine of so many processors,
// of which Go would use so many. Where those are fewer, as somebody gave it less than
// the machine, more threads would only use that up sooner, and then all wait.
func threads(processors, used int) int {
	if used < processors {
		return used
	}
	return max(used, leastThreads)
}
