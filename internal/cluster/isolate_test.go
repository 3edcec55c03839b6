package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	// In the environment it has this program be the one that is killed, and says where that keeps its data.
	victimVariable = "TESTDAG_CLUSTER_VICTIM"

	// In the environment: what was in /etc before Isolate.
	etcVariable = "TESTDAG_CLUSTER_ETC"
)

func TestIsolated(t *testing.T) {
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			t.Errorf("there is %s", i.Name)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err := net.Dial("tcp", l.Addr().String()); err != nil {
		t.Error(err)
	} else {
		_ = c.Close()
	}
	if _, err := os.ReadFile("/etc/hosts"); err != nil {
		t.Error(err)
	}
	names, err := etcNames()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(os.Getenv(etcVariable)+"/"+filepath.Base(secretsDir), "/"), names, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("/etc (-outside +inside):\n%s", diff)
	}
}

// etcNames returns the names of all files, folders and links in /etc.
func etcNames() (names []string, err error) {
	entries, err := os.ReadDir("/etc")
	for _, e := range entries {
		if e.Type().IsDir() || e.Type().IsRegular() || e.Type()&os.ModeSymlink != 0 {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// A program that is killed leaves nothing running, and nothing that it mounted is seen outside of it.
func TestNothingIsLeft(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, outsideVariable+"=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, victimVariable+"="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pids map[string]int
	if err := json.Unmarshal(line, &pids); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if len(pids) != 3 {
		t.Fatalf("processes %v", pids)
	}
	for name, pid := range pids {
		if err := syscall.Kill(pid, 0); err != nil {
			t.Errorf("%s does not run: %v", name, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for name, pid := range pids {
		for syscall.Kill(pid, 0) == nil && !zombie(pid) {
			if pause(ctx, 10*time.Millisecond) != nil {
				t.Fatalf("%s (%d) still runs", name, pid)
			}
		}
	}
	if !isolated() {
		t.Errorf("%s is that of the other program", secretsDir)
	}
}

// zombie reports whether a process is over, but nobody has asked how it ended.
func zombie(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	_, rest, _ := strings.Cut(string(status), ") ")
	return strings.HasPrefix(rest, "Z")
}

// victim starts a control plane, says which processes there are, and waits to be killed.
func victim(dir string) error {
	if err := Isolate(); err != nil {
		return err
	}
	c, err := Start(context.Background(), Options{Bare: true, Dir: dir})
	if err != nil {
		return err
	}
	pids := map[string]int{"victim": os.Getpid()}
	for _, p := range c.processes {
		pids[string(p.component)] = p.cmd.Process.Pid
	}
	if err := json.NewEncoder(os.Stdout).Encode(pids); err != nil {
		return err
	}
	select {}
}
