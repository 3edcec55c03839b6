package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// In the environment: where the controller is, and the folder that was made for it. They reach the isolated program,
// which has no network to build with.
const (
	binaryVariable = "TESTDAG_CONTROLLER_BINARY"
	folderVariable = "TESTDAG_CONTROLLER_FOLDER"
)

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
	return errors.Join(os.Setenv(binaryVariable, binary), os.Setenv(folderVariable, dir))
}

// Clean removes what Build has built, and nothing else.
func Clean() error {
	if dir := os.Getenv(folderVariable); dir != "" {
		return os.RemoveAll(dir)
	}
	return nil
}
