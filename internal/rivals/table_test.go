package main

import (
	"os"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	const small, large = 1000, 1_000_000
	rows := rowsOf(
		entry{work: build, name: "names", role: floor},
		entry{work: build, name: "slow"},
		entry{work: build, name: "fast", takesCycles: true},
		entry{work: build, name: "testdag", role: ours},
	)
	for k, ns := range [][2]float64{{20, 40}, {250_000, 0}, {1000, 4000}, {50, 396}} {
		rows[k].ns[small] = ns[0]
		if ns[1] > 0 {
			rows[k].ns[large] = ns[1]
		}
	}
	const want = `| | 1,000 | 1,000,000 |
|---|--:|--:|
| **build**: names (floor) | 20 | 40 |
| **testdag** | 50 (2.5×) | 396 (9.9×) |
| fast † | 1,000 (50×) | 4,000 (100×) |
| slow | 250,000 (12,500×) | – |
`
	if got := table(rows, []int{10, small, large}); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got, want := table(rows[1:2], []int{small}), "| **build**: slow | 250,000 |\n"; !strings.HasSuffix(got, want) {
		t.Errorf("without a floor there is no %q in\n%s", want, got)
	}
}

// Names of libraries tell the versions of go.mod.
func TestVersions(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.role != rival {
			continue
		}
		words := strings.Fields(e.name)
		if !strings.Contains(string(mod), "/"+strings.Join(words[:min(2, len(words))], " ")) {
			t.Errorf("%s is not in go.mod", e.name)
		}
	}
}
