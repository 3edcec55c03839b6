package process

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"unsafe"
)

// awaitEnd returns when cmd has ended. It leaves cmd to be waited for, so that its number stays in use: until then no
// signal to the group can hit anybody else.
func awaitEnd(cmd *exec.Cmd) {
	const pPID = 1
	var info [128]byte // siginfo_t, not needed, but older kernels insist on it
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(cmd.Process.Pid),
			uintptr(unsafe.Pointer(&info)), syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

// signal sends a signal to every process of the group, to all at the same moment: nobody can fork away from it.
func (g group) signal(sig syscall.Signal) {
	syscall.Kill(-int(g), sig) // the errors say that nobody is there, or nobody who may be signaled
}

// remains reports whether a process of the group is alive. The group cannot be asked by signal 0: its leader counts as
// long as it has not been waited for.
func (g group) remains() bool {
	names, err := processes()
	if err != nil {
		return true // look again
	}
	for _, name := range names {
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if transient(err) {
			return true // look again
		}
		p, ok := parseStat(stat)
		if !ok || p.group != int(g) {
			continue
		}
		if p.alive {
			return true
		}
		if p.parent == os.Getpid() && p.id != int(g) {
			// An orphan that came to this program, as everything does in a container where it is the first process.
			// Nobody else waits for it.
			syscall.Wait4(p.id, nil, syscall.WNOHANG, nil)
		}
	}
	return false
}

// processes lists the processes that can be seen.
func processes() ([]string, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	return slices.DeleteFunc(names, func(name string) bool { return name[0] < '1' || name[0] > '9' }), err
}

// A stat is what /proc tells of a process.
type stat struct {
	id, parent, group int
	alive             bool
}

// parseStat reads /proc/N/stat: number, name in parentheses, state, and many numbers. The name may hold anything.
func parseStat(text []byte) (p stat, ok bool) {
	open, end := bytes.IndexByte(text, ' '), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return p, false
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) < 18 {
		return p, false
	}
	var errs [4]error
	var threads int
	p.id, errs[0] = strconv.Atoi(string(text[:open]))
	p.parent, errs[1] = strconv.Atoi(string(fields[1]))
	p.group, errs[2] = strconv.Atoi(string(fields[2]))
	threads, errs[3] = strconv.Atoi(string(fields[17]))
	// The first thread can be a zombie while others go on.
	state := fields[0][0]
	p.alive = state != 'Z' && state != 'X' || threads > 1
	return p, errors.Join(errs[:]...) == nil
}

// supported says what is missing on this machine.
func supported() error {
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return errors.New("process: /proc does not show this process; mount it for the process namespace of this program")
	}
	return nil
}
