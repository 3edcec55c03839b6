package dagfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/testdag/testdag/dag"
)

// A File is what [Parse] reads.
type File struct {
	Graph    *dag.Graph
	Commands map[dag.ID][]string // of scenarios that have one; never empty lists
}

// Options are what [Parse] may be told. The zero Options serve; a limit that is not positive stands for its default.
type Options struct {
	Name         string // of the input, for errors: graph.yaml
	MaxBytes     int64  // size; default 16 MiB
	MaxDepth     int    // mappings and lists within one another; default 100, at most 10000
	MaxDocuments int    // YAML documents in one input; default 1000
	MaxName      int    // bytes in the name of a scenario; default 1024
	MaxMistakes  int    // mistakes told one by one, before the rest is only counted; default 1000
}

// deepest is what the YAML library reads.
const deepest = 10000

func (o Options) withDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 16 << 20
	}
	if o.MaxDepth <= 0 {
		o.MaxDepth = 100
	}
	if o.MaxDocuments <= 0 {
		o.MaxDocuments = 1000
	}
	if o.MaxName <= 0 {
		o.MaxName = 1024
	}
	if o.MaxMistakes <= 0 {
		o.MaxMistakes = 1000
	}
	o.MaxDepth = min(o.MaxDepth, deepest)
	return o
}

// Parse reads the one graph that r holds, in any form that the package documentation shows. The profile is looked at
// only where a parent in testGraph has neither onFail nor failFast.
//
// It reports every mistake it finds, joined in the order of the input, each an [*Error]. Among the reasons to find with
// errors.As and errors.Is are [ErrNoGraph], [dag.NoProfile], [*LimitError] and the mistakes that [dag.New] reports.
func Parse(r io.Reader, p dag.Profile, o Options) (*File, error) {
	o = o.withDefaults()
	data, err := readAll(r, o.MaxBytes)
	if err != nil {
		return nil, &Error{Name: o.Name, Err: err}
	}
	documents, err := split(data, o)
	if err != nil {
		return nil, name(o.Name, err)
	}
	in := newInterpreter(p, o)
	in.documents(documents)
	file := in.file()
	if len(in.mistakes) > 0 {
		return nil, in.err()
	}
	return file, nil
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, min(limit, math.MaxInt64-1)+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &LimitError{Option: "MaxBytes", Limit: limit}
	}
	return data, nil
}

// name makes err an *Error that has the name of the input.
func name(input string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Err: err}
	}
	e.Name = input
	return e
}

// err joins the mistakes in the order of the input.
func (in *interpreter) err() error {
	slices.SortStableFunc(in.mistakes, func(x, y *Error) int {
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	errs := make([]error, len(in.mistakes))
	for i, m := range in.mistakes {
		errs[i] = m
	}
	if in.untold > 0 {
		errs = append(errs, &Error{Name: in.options.Name, Err: fmt.Errorf("%d more mistakes", in.untold)})
	}
	return errors.Join(errs...)
}
