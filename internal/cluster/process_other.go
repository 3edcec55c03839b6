//go:build !linux

package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

var errPlatform = fmt.Errorf("cluster: a control plane runs on Linux alone, not on %s: %w", runtime.GOOS, errors.ErrUnsupported)

func dieWithParent(*exec.Cmd) {}

func tryLock(*os.File) (bool, error) { return false, errPlatform }

func isolated() bool { return false }

func startedIsolated() bool { return false }

const secretsDir = ""

// Isolate returns an error: it works on Linux alone.
func Isolate() error { return errPlatform }

func (p *process) memory() int64 { return 0 }
