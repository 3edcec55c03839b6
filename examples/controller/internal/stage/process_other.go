//go:build !linux

package stage

import "syscall"

// dieWithParent is of Linux, as the cluster is.
func dieWithParent() *syscall.SysProcAttr { return nil }
