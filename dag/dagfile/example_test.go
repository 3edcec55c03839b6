package dagfile_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/dag/dagfile"
)

func Example() {
	const input = `
testGraph:
  report:
    - name: scan
      onFail: run
  scan:
    - name: build
`
	f, err := dagfile.Parse(strings.NewReader(input), dag.ADR48, dagfile.Options{Name: "graph.yaml"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := dagfile.WriteJSON(os.Stdout, f.Graph); err != nil {
		fmt.Println(err)
	}
	if err := dagfile.WriteMermaid(os.Stdout, f.Graph); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {
	//   "scenarios": [
	//     {"name":"build"},
	//     {"name":"scan","after":["build"]},
	//     {"name":"report","after":[{"name":"scan","condition":"OnFinish"}]}
	//   ]
	// }
	// flowchart TD
	//     n0["build"]
	//     n1["scan"]
	//     n2["report"]
	//     n0 --> n1
	//     n1 -->|OnFinish| n2
}

// Every mistake is told at once, each with its place.
func ExampleParse_mistakes() {
	const input = `scenarios:
  - name: build
    after: [report]
  - name: scan
    after: [biuld]
  - name: report
    afer: [scan]
    after: [build]
`
	_, err := dagfile.Parse(strings.NewReader(input), 0, dagfile.Options{Name: "graph.yaml"})
	fmt.Println(err)
	// Output:
	// graph.yaml:3:13: dag: cycle: "build" waits for "report" waits for "build"
	// graph.yaml:5:13: dag: "scan" waits for "biuld", which is not a scenario; add it or correct the name
	// graph.yaml:7:5: unknown field "afer"; want one of name, after, optional, command
}
