package main

import (
	"os"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	small, large := column{"layered", 1000}, column{"layered", 1_000_000}
	entries := rowsOf(
		entry{work: build, name: "numbers", role: baseline},
		entry{work: build, name: "names", role: floor},
		entry{work: build, name: "slow"},
		entry{work: build, name: "fast", blind: cycle},
		entry{work: build, name: "testdag", role: ours},
		entry{work: run, name: "not measured", role: floor},
	)
	for k, ns := range [][2]float64{{10, 10}, {20, 40}, {250_000, 0}, {1000, 4000}, {50, 396}} {
		entries[k].ns[small] = ns[0]
		if ns[1] > 0 {
			entries[k].ns[large] = ns[1]
		}
	}
	const want = `| | 1,000 | 1,000,000 |
|---|--:|--:|
| **build**: names (floor) | 20 | 40 |
| **testdag** | 50 (2.5×) | 396 (9.9×) |
| fast † | 1,000 (50×) | 4,000 (100×) |
| slow | 250,000 (12,500×) | – |
`
	if got := table(entries, []column{small, large}, true); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := table(entries, []column{small}, false); !strings.Contains(got, "| numbers | 10 (0.5×) |") {
		t.Errorf("there is no baseline in\n%s", got)
	}
}

func TestReplaceSection(t *testing.T) {
	const text = "before\n<!-- rivals -->\nold\n<!-- /rivals -->\nafter\n"
	got, err := replaceSection(text, "new\n")
	if want := strings.Replace(text, "old", "new", 1); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, text := range []string{"", "<!-- rivals -->\n", "<!-- /rivals -->\n<!-- rivals -->\n"} {
		if _, err := replaceSection(text, "new\n"); err == nil {
			t.Errorf("%q: no error", text)
		}
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
