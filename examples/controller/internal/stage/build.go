package stage

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// binaryVariable in the environment says where the controller is. It reaches the isolated program, which has no network
// to build with.
const binaryVariable = "TESTDAG_CONTROLLER_BINARY"

// Build builds the controller, unless the program that started this one has. Call it before cluster.Isolate and before
// cluster.Main, and Clean at the end.
func Build(ctx context.Context) error {
	if os.Getenv(binaryVariable) != "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "testdag-controller-")
	if err != nil {
		return err
	}
	binary := filepath.Join(dir, "controller")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/testdag/testdag/examples/controller")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // then it ends its compilers
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		_ = os.RemoveAll(dir)
		return fmt.Errorf("building the controller: %w\n%s", err, strings.TrimSpace(stderr.String()))
	}
	return os.Setenv(binaryVariable, binary)
}

// Clean removes what Build has built.
func Clean() error {
	if binary := os.Getenv(binaryVariable); binary != "" {
		return os.RemoveAll(filepath.Dir(binary))
	}
	return nil
}
