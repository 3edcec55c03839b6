package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/testdag/testdag/dag"
	"github.com/testdag/testdag/dag/dagfile"
	"github.com/testdag/testdag/scheduler"
	"github.com/testdag/testdag/scheduler/process"
)

// runFile runs the commands of a graph in the plain form.
func runFile(ctx context.Context, name string, parallel int, out io.Writer) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	file, err := dagfile.Parse(f, dag.ADR48, dagfile.Options{Name: name})
	if err != nil {
		return err
	}
	if file.Graph.Len() == 0 {
		return fmt.Errorf("%s: the graph has no scenarios", name)
	}
	commands, err := commandsOf(file)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s := newStory(out, file.Graph)
	s.heading("The graph of %s", name)
	s.graph()
	s.heading("What happens")
	snapshot, err := scheduler.Run(ctx, file.Graph, process.Runner{Command: process.Commands(commands)}, scheduler.Options{
		Parallel: parallel,
		Observe:  s.step,
	})
	if err != nil {
		return err
	}
	s.heading("How it ends")
	s.verdicts(snapshot)
	if scheduler.Next(file.Graph, snapshot).Outcome != scheduler.OutcomePassed {
		return errNotPassed
	}
	return nil
}

// commandsOf returns the command of each scenario, or an error that names those without.
func commandsOf(file *dagfile.File) (map[dag.ID]process.Command, error) {
	commands := map[dag.ID]process.Command{}
	var missing []string
	for id := range file.Graph.All() {
		args, ok := file.Commands[id]
		if !ok {
			missing = append(missing, string(id))
		}
		commands[id] = process.Command{Args: args}
	}
	switch {
	case len(missing) == 0:
		return commands, nil
	case len(file.Commands) == 0:
		return nil, errors.New("no scenario has a command; a testGraph cannot have any, a list of scenarios can: " +
			"scenarios: [{name: unit, command: go test ./...}]")
	}
	return nil, fmt.Errorf("without a command: %s; add one to each, as in command: make test", strings.Join(missing, ", "))
}
