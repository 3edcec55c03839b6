// Package dagfile reads graphs of scenarios from text and writes them as text.
//
// [Parse] reads YAML and JSON, in one of two forms that it tells apart by itself. [WriteJSON] writes what Parse reads
// back; [WriteDOT] and [WriteMermaid] draw a graph for people.
//
// # The plain form
//
// A list of scenarios, each with what it waits for:
//
//	scenarios:
//	  - name: build
//	  - name: scan
//	    after: [build]
//	    command: [scanner, --format, json]
//	  - name: report
//	    optional: true
//	    after:
//	      - build
//	      - {name: scan, condition: OnFinish}
//
// A parent is a name, which stands for the condition OnPass, or a name with one of the conditions OnPass, OnFinish and
// Always; see [dag.Condition]. Each parent must be a scenario of the list. A command is a list, the program and its arguments,
// or one string, which stands for [sh, -c, string]. Graphs know nothing of commands; they are in [File].
//
// # The testGraph form
//
// The field testGraph of a ComponentGroup, either in the whole object, under spec, or as the only field of a file:
//
//	testGraph:
//	  scan:
//	    - name: build
//	      onFail: skip
//	  report:
//	    - name: scan
//	      onFail: run
//	    - name: build
//	  lint: []
//
// Mind the direction: the key is the scenario that waits, and the list says for what. A name that appears only in a list
// is a scenario too. What happens when a parent fails is said by onFail, or in newer objects by failFast:
//
//	onFail: skip, failFast: true     OnPass: the scenario is canceled
//	onFail: run, failFast: false     OnFinish: the scenario begins all the same
//	neither                          as the profile says
//
// # Profiles
//
// Two documents disagree about a parent of which nothing is said, so the same text is two graphs: the caller of Parse
// names a [dag.Profile], and there is no default. The plain form needs none.
//
// # Strictness
//
// A misspelled field that is ignored is an edge that is lost, so nothing is ignored: unknown fields, duplicate keys,
// values of another type, names that are not strings (name: 1 wants quotes), and YAML's anchors, aliases, merge keys and
// tags are mistakes. Outside testGraph an object of Kubernetes may hold what it likes. A file may have several YAML
// documents, of which one has a graph; objects of other kinds are passed over.
//
// Parse reports all mistakes at once, each an [*Error] with its line and column, in the order of the file. The mistakes
// that package dag finds, such as a [*dag.CycleError], are told at the edge or scenario they begin with, and errors.As
// finds them. Only where the text is neither YAML nor JSON, or beyond a limit, is there one error.
//
// # Limits
//
// The input is bounded in bytes, depth, documents and length of a name, and so is the number of mistakes told; see
// [Options]. While it is read, text that is made for it takes a hundred times its size in memory: whoever reads what
// strangers wrote sets Options.MaxBytes to what their graphs need.
package dagfile
