package stage

import (
	"context"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/testdag/testdag/internal/cluster"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "of the random moments; 0 for another one each time")
	killsFlag  = flag.Int("kills", 20, "how often the controller is killed")
	outageFlag = flag.Duration("outage", 5*time.Second, "how long the API server is away")
)

// random returns a source of random moments, and says how to get the same again.
func random(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// moment waits for up to the longest, unless ctx ends.
func moment(ctx context.Context, r *rand.Rand, longest time.Duration) time.Duration {
	d := time.Duration(r.Int64N(int64(longest)))
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return d
}

// Nothing disturbs: the play ends as it should, and the controller does as it is asked to at the end.
func TestUndisturbed(t *testing.T) {
	s, ctx := open(t), within(t, 3*time.Minute)
	namespaces := names(t, 1)
	begin, p := time.Now(), proxyFor(t, s, "")
	c := start(t, s, "a", "-kubeconfig="+p.kubeconfig, "-leader-election=false", "-namespaces="+namespaces[0])
	plays(t, ctx, s, namespaces, func(*witness) {})
	t.Logf("the play took %s", time.Since(begin).Round(time.Millisecond))
	figures(t, ctx, c)
	t.Log(p.requests)
	if err := c.Stop(); err != nil {
		t.Errorf("asked to end, it ended with %v", err)
	}
}

// The controller is killed at random moments, and started again at once.
func TestKilled(t *testing.T) {
	s, ctx, r := open(t), within(t, 8*time.Minute), random(t)
	namespaces := names(t, 4)
	args := []string{"-leader-election=false", "-namespaces=" + strings.Join(namespaces, ",")}
	plays(t, ctx, s, namespaces, func(w *witness) {
		for n := range *killsFlag {
			c := start(t, s, "a", args...)
			if n%2 == 0 { // the others while it begins
				if err := c.Ready(ctx); err != nil {
					t.Error(err)
				}
			}
			lived := moment(ctx, r, 1500*time.Millisecond)
			if err := c.Kill(); err != nil {
				t.Error(err)
			}
			runs := 0
			for _, namespace := range namespaces {
				runs += len(w.of(namespace))
			}
			t.Logf("kill %d: %s later, with %d PipelineRuns there", n+1, lived.Round(time.Millisecond), runs)
		}
		start(t, s, "a", args...)
	})
}

// Two controllers are at work at once, and nothing keeps them from it.
func TestTwo(t *testing.T) {
	s, ctx := open(t), within(t, 5*time.Minute)
	namespaces := names(t, 4)
	args := []string{"-leader-election=false", "-namespaces=" + strings.Join(namespaces, ",")}
	a, b := start(t, s, "a", args...), start(t, s, "b", args...)
	plays(t, ctx, s, namespaces, func(*witness) {})
	conflicts := 0.0
	for _, m := range []map[string]float64{figures(t, ctx, a), figures(t, ctx, b)} {
		if m["testdag_decision_seconds_count"] == 0 {
			t.Error("one of them decided nothing")
		}
		conflicts += m["testdag_conflicts_total"]
	}
	if conflicts == 0 {
		t.Error("they were never in each other's way: this proves nothing")
	}
}

// away kills a component that everything needs, and starts it again after a while. The controller works on all the
// time. Tekton is killed as well, and started again afterwards: a TaskRun whose pod it cannot create for a reason that
// it does not know has failed for it, and that nobody answers is such a reason. The runs would then end otherwise, and
// rightly so.
func away(t *testing.T, ctx context.Context, s *Stage, component cluster.Component, d time.Duration) {
	t.Helper()
	for _, c := range []cluster.Component{cluster.Tekton, component} {
		if err := s.Kill(c); err != nil {
			t.Error(err)
		}
	}
	time.Sleep(d)
	for _, c := range []cluster.Component{component, cluster.Tekton} {
		if err := s.StartAgain(ctx, c); err != nil {
			t.Error(err)
		}
	}
}

// The API server is away for a while, in the middle.
func TestAPIServerAway(t *testing.T) {
	s, ctx, r := open(t), within(t, 5*time.Minute+*outageFlag), random(t)
	namespaces := names(t, 4)
	c := start(t, s, "a", "-leader-election=false", "-namespaces="+strings.Join(namespaces, ","))
	plays(t, ctx, s, namespaces, func(*witness) {
		t.Logf("away after %s for %s", moment(ctx, r, 8*time.Second).Round(time.Millisecond), *outageFlag)
		away(t, ctx, s, cluster.APIServer, *outageFlag)
	})
	figures(t, ctx, c)
}

// What holds all state is killed and started again, and with it everything that watches begins anew.
func TestEtcdKilled(t *testing.T) {
	s, ctx, r := open(t), within(t, 5*time.Minute), random(t)
	namespaces := names(t, 4)
	c := start(t, s, "a", "-leader-election=false", "-namespaces="+strings.Join(namespaces, ","))
	plays(t, ctx, s, namespaces, func(*witness) {
		for range 3 {
			t.Logf("killed after %s", moment(ctx, r, 4*time.Second).Round(time.Millisecond))
			away(t, ctx, s, cluster.Etcd, 0)
		}
	})
	figures(t, ctx, c)
}

// One of two leads. When it ends the other one takes over at once; when it is killed, after the lease.
func TestLeader(t *testing.T) {
	s, ctx := open(t), within(t, 5*time.Minute)
	namespaces := names(t, 1)
	if err := s.Namespace(ctx, namespaces[0]); err != nil {
		t.Fatal(err)
	}
	args := []string{"-leader-election-namespace=" + namespaces[0], "-namespaces=" + namespaces[0]}
	first := start(t, s, "a", args...)
	eventually(t, "the first leads", func() bool { return leads(ctx, first) })
	second := start(t, s, "b", args...)
	if err := second.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	plays(t, ctx, s, namespaces, func(*witness) {
		moment(ctx, random(t), 4*time.Second)
		if leads(ctx, second) {
			t.Error("both lead")
		}
		if err := first.Stop(); err != nil {
			t.Errorf("asked to end, it ended with %v", err)
		}
		begin := time.Now()
		eventually(t, "the second leads", func() bool { return leads(ctx, second) })
		t.Logf("the lease of one that has ended is taken over after %s", time.Since(begin).Round(100*time.Millisecond))
		third := start(t, s, "c", args...)
		if err := third.Ready(ctx); err != nil {
			t.Error(err)
		}
		if leads(ctx, third) {
			t.Error("both lead")
		}
		if err := second.Kill(); err != nil {
			t.Error(err)
		}
		begin = time.Now()
		eventually(t, "the third leads", func() bool { return leads(ctx, third) })
		t.Logf("the lease of one that was killed is taken over after %s", time.Since(begin).Round(100*time.Millisecond))
	})
}

// leads reports whether a controller says that it leads.
func leads(ctx context.Context, c *Controller) bool {
	m, err := c.Metrics(ctx)
	return err == nil && m["leader_election_master_status"] == 1
}
