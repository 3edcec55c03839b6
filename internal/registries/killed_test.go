package registries

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
)

var kills = flag.Int("kills", 3, "how `often` 16 writers are killed, for each registry")

// longest is how long a writer lives at most. Sixteen that start at once on two processors need most of a second for
// their first statements, so some die before and some between, at any request.
const longest = 3 * time.Second

// jobVariable holds a job. With it in its environment the test binary is a writer.
const jobVariable = "TESTDAG_WRITER_JOB"

// A job is what a writer in a process of its own has to do: write statements until it is killed.
type job struct {
	Image   string
	Private []byte // key, encrypted with password
	Writer  string // begins the names of its tests
}

// work is the whole program of such a process. It says ready, waits for a line, and says the name of each test that is
// written.
func work(text string, in io.Reader, out io.Writer) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	image, err := name.NewDigest(j.Image)
	if err != nil {
		return err
	}
	signer, err := cosign.LoadSigner(j.Private, []byte(password))
	if err != nil {
		return err
	}
	writer := attest.NewWriter(signer, attest.Options{Access: attest.Access{Transport: NewTransport()}})
	fmt.Fprintln(out, "ready")
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return err // nobody waits for it any more
	}
	for i := 1; ; i++ {
		test := fmt.Sprintf("%s-%d", j.Writer, i)
		_, err := writer.Write(context.Background(), image, test, intoto.TestResult{Result: intoto.Passed, Timestamp: finished})
		if err != nil {
			return fmt.Errorf("%s: %w", test, err)
		}
		fmt.Fprintln(out, test)
	}
}

// A process is a writer that runs.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	errs strings.Builder
}

func (b bench) spawn(j job) *process {
	b.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		b.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(b.Context(), os.Args[0])}
	p.cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	p.cmd.Stderr = &p.errs
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return p
}

// killAfter lets the writer begin, kills it, and returns what it said was written.
func (p *process) killAfter(d time.Duration) (said []string, err error) {
	if _, err := io.WriteString(p.in, "begin\n"); err != nil {
		return nil, err
	}
	timer := time.AfterFunc(d, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	for p.out.Scan() {
		said = append(said, p.out.Text())
	}
	_ = p.cmd.Wait() // it was killed
	if p.errs.Len() > 0 {
		return said, fmt.Errorf("a writer ended by itself: %s", &p.errs)
	}
	return said, nil
}

// killedWriters has processes write to one image, kills each at a moment of its own, and returns what they said was
// written.
func (b bench) killedWriters(image name.Digest) set {
	b.Helper()
	var all []*process
	for i := range writers {
		all = append(all, b.spawn(job{image.Name(), b.private, testName(i)}))
	}
	for _, p := range all {
		if !p.out.Scan() {
			_ = p.cmd.Wait()
			b.Fatalf("a writer did not begin: %s", &p.errs)
		}
	}
	said, mu := set{}, sync.Mutex{}
	var wg sync.WaitGroup
	for _, p := range all {
		life := rand.N(longest)
		wg.Go(func() {
			tests, err := p.killAfter(life)
			if err != nil {
				b.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, test := range tests {
				said[test] = true
			}
		})
	}
	wg.Wait()
	return said
}

// A death is what was counted around a killing.
type death struct {
	registry                   string
	kills                      int
	said, record, view, repair int
}

// A writer that is killed at any moment takes nothing with it that it said was written, and the next writer brings the
// tag that stock cosign reads up to the record.
func TestKilledWritersLoseNothing(t *testing.T) {
	var rows []death
	each(t, func(t *testing.T, k kind) {
		b := newBench(t, k.start(t), 0)
		sum := death{registry: k.name}
		for i := range *kills {
			d := b.kill(b.push(fmt.Sprintf("killed-%d", i)))
			sum.kills += d.kills
			sum.said, sum.record = sum.said+d.said, sum.record+d.record
			sum.view, sum.repair = sum.view+d.view, sum.repair+d.repair
		}
		rows = append(rows, sum)
	})
	var text strings.Builder
	text.WriteString("| registry | killed | said to be written | in the record | in .att | in .att after one more writer |\n" +
		"|---|--:|--:|--:|--:|--:|\n")
	for _, d := range rows {
		fmt.Fprintf(&text, "| %s | %d | %d | %d | %d | %d of %d |\n",
			d.registry, d.kills, d.said, d.record, d.view, d.repair, d.record+*kills)
	}
	t.Logf("\n%s", &text)
}

func (b bench) kill(image name.Digest) death {
	b.Helper()
	said := b.killedWriters(image)
	record, view := b.recorded(image), b.shown(image)
	for test := range said {
		if !record[test] {
			b.Errorf("%s was said to be written, and is not in the record", test)
		}
	}
	if err := b.write(image, "repair"); err != nil {
		b.Errorf("after killed writers: %v", err)
	}
	after := b.recorded(image)
	repaired := b.shown(image)
	record["repair"] = true
	b.same("in the record after one more writer", record, after)
	b.same("in the .att tag after one more writer", record, repaired)
	return death{kills: writers, said: len(said), record: len(after) - 1, view: len(view), repair: len(repaired)}
}
