package main

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/solver"
	digest "github.com/opencontainers/go-digest"
)

// A vertex is a scenario as the solver of BuildKit wants it: it is its own operation and its own result.
type vertex struct {
	name   string
	digest digest.Digest
	inputs []solver.Edge
	visit  func() // nil for the one that waits for all leaves
}

func (v *vertex) Digest() digest.Digest         { return v.digest }
func (v *vertex) Name() string                  { return v.name }
func (v *vertex) Inputs() []solver.Edge         { return v.inputs }
func (v *vertex) Options() solver.VertexOptions { return solver.VertexOptions{} }
func (v *vertex) Sys() any                      { return v }

func (v *vertex) Acquire(context.Context) (solver.ReleaseFunc, error) { return func() {}, nil }

func (v *vertex) CacheMap(context.Context, solver.JobContext, int) (*solver.CacheMap, bool, error) {
	m := &solver.CacheMap{Digest: v.digest}
	for range v.inputs {
		m.Deps = append(m.Deps, struct {
			Selector          digest.Digest
			ComputeDigestFunc solver.ResultBasedCacheFunc
			PreprocessFunc    solver.PreprocessFunc
		}{})
	}
	return m, true, nil
}

func (v *vertex) Exec(context.Context, solver.JobContext, []solver.Result) ([]solver.Result, error) {
	if v.visit != nil {
		v.visit()
	}
	return []solver.Result{result{v}}, nil
}

type result struct{ *vertex }

func (r result) ID() string                    { return r.name }
func (r result) Release(context.Context) error { return nil }
func (r result) Sys() any                      { return r.vertex }
func (r result) Clone() solver.Result          { return r }

// newVertex returns a vertex that waits for all leaves, since the solver works towards one. An edge leads to a vertex
// that is there already, so a name must have come before, and there cannot be a cycle.
func newVertex(g *graph, visit func(int)) (*vertex, error) {
	vertices := make(map[string]*vertex, g.len())
	edge := func(name string) (solver.Edge, error) {
		v, ok := vertices[name]
		if !ok {
			return solver.Edge{}, fmt.Errorf("%q has not come yet", name)
		}
		return solver.Edge{Vertex: v}, nil
	}
	for i, name := range g.names {
		v := &vertex{name: name, digest: digest.FromString(name), visit: func() { visit(i) }}
		for _, p := range g.after[i] {
			e, err := edge(p)
			if err != nil {
				return nil, err
			}
			v.inputs = append(v.inputs, e)
		}
		vertices[name] = v
	}
	all := &vertex{name: "all", digest: digest.FromString("all")}
	for _, leaf := range g.leaves() {
		all.inputs = append(all.inputs, solver.Edge{Vertex: vertices[g.names[leaf]]})
	}
	return all, nil
}

const buildkitName = "buildkit v0.34.2 solver"

// The build of BuildKit is not in the table: it is all ours.
var buildkit = []entry{
	{work: run, name: buildkitName, late: true, prepare: func(g *graph, visit func(int)) (job, error) {
		all, err := newVertex(g, visit)
		if err != nil {
			return job{}, err
		}
		s := solver.NewSolver(solver.SolverOpt{ResolveOpFunc: func(v solver.Vertex, _ solver.Builder) (solver.Op, error) {
			return v.Sys().(*vertex), nil
		}})
		j, err := s.NewJob("tests")
		if err != nil {
			return job{}, err
		}
		return job{
			do:    func() error { _, err := j.Build(context.Background(), solver.Edge{Vertex: all}); return err },
			close: func() { j.CloseProgress(); j.Discard(); s.Close() },
		}, nil
	}},
}
