//go:build unix

package process_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/process"
	"github.com/testdag/testdag/scheduler/schedulertest"
)

// A Runner keeps the contract of runners. Commands are not found again after a crash, so there is no Again.
func TestContract(t *testing.T) {
	schedulertest.TestRunner(t, func(t *testing.T) schedulertest.Subject {
		mark := fmt.Sprintf("PROCESS_TEST_MARK=%d.%d", os.Getpid(), marks.Add(1))
		begun := filepath.Join(t.TempDir(), "begun")
		command := func(script string) process.Command {
			c := shell(`echo "$TESTDAG_SCENARIO#$TESTDAG_RUN" >>"$BEGUN"; ` + script)
			c.Env = []string{mark, "BEGUN=" + begun}
			return c
		}
		return schedulertest.Subject{
			Runner: process.Runner{Command: process.Commands(map[dag.ID]process.Command{
				"pass":  command("exit 0"),
				"fail":  command("exit 1"),
				"block": command("sleep 1000 & sleep 1000"),
				"other": command("sleep 1000"),
			})},
			Pass: "pass", Fail: "fail", Block: "block", Other: "other",
			Executions: func(run scheduler.Ref) int {
				text, err := os.ReadFile(begun)
				if err != nil && !os.IsNotExist(err) {
					t.Error(err)
				}
				return strings.Count("\n"+string(text), "\n"+run.String()+"\n")
			},
			Left: func() []string { return marked(mark) },
		}
	})
}
