package registries

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// A command is a program of another project. It is built once, the first time that it runs.
type command func() (path string, err error)

var (
	crane  = built("crane", ".", "github.com/google/go-containerregistry/cmd/crane")
	stock  = built("cosign", "../interop", "github.com/sigstore/cosign/v2/cmd/cosign")
	oras   = built("oras", ".", "oras.land/oras/cmd/oras", "-modfile=pins/oras.mod")
	regctl = built("regctl", ".", "github.com/regclient/regclient/cmd/regctl", "-modfile=pins/regclient.mod")
)

// built returns a command of a package that the module in a folder needs, or another one that a flag names.
func built(name, folder, pkg string, flags ...string) command {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(buildDir, name)
		args := append([]string{"build", "-mod=readonly", "-o", path}, flags...)
		cmd := exec.Command("go", append(args, pkg)...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w: %s", name, err, out)
		}
		return path, nil
	})
}

// run runs the command in a folder, without any configuration of the user's. An error says what the command printed.
func (c command) run(t *testing.T, dir string, args ...string) error {
	t.Helper()
	path, err := c()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "COSIGN_PASSWORD=" + password}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
