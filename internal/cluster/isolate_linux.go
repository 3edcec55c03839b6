package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const (
	// Where Chains reads the key that it signs with. It cannot be told another path.
	secretsDir = "/etc/signing-secrets"

	// Says which network was made ready together with that folder.
	networkFile = secretsDir + "/network"
)

// Isolate starts the running program again, with the same arguments, where it has a network of its own with nothing but
// loopback, and an /etc of its own to which Chains' key can be added. In the program started so it returns; the one that
// called it hands on signals, waits, and exits as the other does. Call it before anything else happens, in main or in
// TestMain, but after [Build], which needs the network.
//
// It needs Linux. Who is not root gets a user namespace as well and is root there. Where the kernel refuses that, the
// error wraps [errors.ErrUnsupported].
func Isolate() error {
	switch {
	case isolated():
		return nil
	case startedIsolated():
		return furnish()
	}
	code, err := runIsolated()
	if err != nil {
		return refused(err)
	}
	os.Exit(code)
	return nil
}

// network names the network that this process has.
func network() string {
	name, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return "unknown"
	}
	return name
}

// startedIsolated reports whether this program was started by Isolate: by its parent, and with another network.
func startedIsolated() bool {
	pid, outside, found := strings.Cut(os.Getenv(outsideVariable), " ")
	return found && pid == strconv.Itoa(os.Getppid()) && outside != network()
}

// isolated reports whether Isolate has returned in this program, or in one that has started it.
func isolated() bool {
	made, err := os.ReadFile(networkFile)
	return err == nil && string(made) == network()
}

func refused(err error) error {
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EACCES) {
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return fmt.Errorf("cluster: the kernel gives no namespaces to who is not root, or to nobody: %w", err)
}

// runIsolated runs this program in namespaces of its own, and returns its exit code.
func runIsolated() (int, error) {
	runtime.LockOSThread() // the child is killed when this thread ends
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", outsideVariable, os.Getpid(), network()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// furnish prepares the namespaces for use.
func furnish() error {
	if err := loopbackUp(); err != nil {
		return refused(fmt.Errorf("bringing lo up: %w", err))
	}
	if err := privateEtc(); err != nil {
		return refused(fmt.Errorf("an /etc of our own: %w", err))
	}
	if err := os.Mkdir(secretsDir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return refused(err)
	}
	if err := syscall.Mount("tmpfs", secretsDir, "tmpfs", 0, "mode=700"); err != nil { // the machine may have one of its own
		return refused(err)
	}
	return os.WriteFile(networkFile, []byte(network()), 0o600)
}

func loopbackUp() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte // the kernel's struct ifreq is longer
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(request.name[:], "lo")
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

// privateEtc mounts a new folder over /etc in which everything of the old one is found, and can be added to.
func privateEtc() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil { // nobody outside sees what follows
		return err
	}
	old, err := os.Open("/etc")
	if err != nil {
		return err
	}
	defer old.Close()
	entries, err := old.ReadDir(-1)
	if err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", "/etc", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, e := range entries {
		if err := carryOver(fmt.Sprintf("/proc/self/fd/%d/%s", old.Fd(), e.Name()), filepath.Join("/etc", e.Name()), e.Type()); err != nil {
			return err
		}
	}
	return nil
}

// carryOver makes a file or folder of the old /etc appear in the new one.
func carryOver(from, to string, kind os.FileMode) error {
	switch {
	case kind&os.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case kind.IsDir():
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
	case kind.IsRegular():
		f, err := os.Create(to)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	default: // a socket or a pipe of some service
		return nil
	}
	return syscall.Mount(from, to, "", syscall.MS_BIND|syscall.MS_REC, "")
}
