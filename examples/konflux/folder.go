package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/testdag/testdag/scheduler/konflux"
	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// A folder is what was read.
type folder struct {
	objects   konflux.Objects
	snapshots []string // where Snapshots were found
	groups    []string // where ComponentGroups were found
	others    int      // objects of other kinds
	elsewhere int      // scenarios of other applications or groups than the Snapshot's
}

const (
	maxFiles     = 1000
	maxFileBytes = 32 << 20
	maxObjects   = 100_000
)

// A FileError reports a file that cannot be read, or an object in it.
type FileError struct {
	File     string
	Document int // counted from 1; 0 if it is about the whole file
	Err      error
}

func (e *FileError) Error() string {
	if e.Document == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s: document %d: %v", e.File, e.Document, e.Err)
}

// Unwrap returns the mistake.
func (e *FileError) Unwrap() error { return e.Err }

// readFolder reads every YAML and JSON file of a folder, by name, and reports every mistake.
func readFolder(ctx context.Context, dir string) (*folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(e.Name()))) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no file *.yaml, *.yml or *.json", dir)
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("%s has %d files; want at most %d", dir, len(names), maxFiles)
	}
	f := &folder{}
	f.objects.Snapshot.Name = "snapshot"
	var mistakes []error
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		mistakes = append(mistakes, f.readFile(filepath.Join(dir, name), name)...)
	}
	mistakes = append(mistakes, one("Snapshot", f.snapshots), one("ComponentGroup", f.groups))
	mistakes = append(mistakes, f.keepOwn())
	return f, errors.Join(mistakes...)
}

// keepOwn leaves out the scenarios of other applications and groups than that of the Snapshot: a namespace has many.
// Those that name none, and all if the Snapshot names none, stay.
func (f *folder) keepOwn() error {
	var s struct {
		Application    string `json:"application"`
		ComponentGroup string `json:"componentGroup"`
	}
	if len(f.objects.Snapshot.Spec) == 0 {
		return nil
	}
	if err := json.Unmarshal(f.objects.Snapshot.Spec, &s); err != nil {
		return fmt.Errorf("spec of the Snapshot: %w", err)
	}
	own := func(name string) bool { return name == "" || name == s.Application || name == s.ComponentGroup }
	all := len(f.objects.Scenarios)
	if s.Application != "" || s.ComponentGroup != "" {
		f.objects.Scenarios = slices.DeleteFunc(f.objects.Scenarios, func(t konflux.IntegrationTestScenario) bool {
			return !own(t.Spec.Application) || !own(t.Spec.ComponentGroup)
		})
	}
	f.elsewhere = all - len(f.objects.Scenarios)
	return nil
}

// one refuses several objects of a kind of which one is looked at.
func one(kind string, found []string) error {
	if len(found) < 2 {
		return nil
	}
	return fmt.Errorf("%d objects are a %s: %s; keep one", len(found), kind, strings.Join(found, ", "))
}

func (f *folder) readFile(path, name string) (mistakes []error) {
	file, err := os.Open(path)
	if err != nil {
		return []error{err}
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("more than %d bytes", maxFileBytes)
	}
	if err != nil {
		return []error{&FileError{name, 0, err}}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for n := 1; ; n++ {
		var object any
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return mistakes
		}
		if err != nil { // what follows cannot be trusted
			return append(mistakes, &FileError{name, n, err})
		}
		if err := f.add(object, name); err != nil {
			mistakes = append(mistakes, &FileError{name, n, err})
		}
	}
}

// add takes an object, or each of a list.
func (f *folder) add(object any, name string) error {
	if object == nil {
		return nil
	}
	text, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("it is no object of Kubernetes: %w", err)
	}
	var head struct {
		Kind             string `json:"kind"`
		Items            []any  `json:"items"`
		pipelinerun.Meta `json:"metadata"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("it is no object of Kubernetes: %w", err)
	}
	if kind, ok := strings.CutSuffix(head.Kind, "List"); ok {
		var mistakes []error
		for i, item := range head.Items {
			if object, ok := item.(map[string]any); ok && object["kind"] == nil {
				object["kind"] = kind // as the API server lists them
			}
			if err := f.add(item, name); err != nil {
				mistakes = append(mistakes, fmt.Errorf("items[%d]: %w", i, err))
			}
		}
		return errors.Join(mistakes...)
	}
	if head.Kind == "" {
		return errors.New("it has no kind")
	}
	where := name + ": " + cmp.Or(head.Name, "without a name")
	if err := f.take(head.Kind, text, where); err != nil {
		return fmt.Errorf("%s %q: %w", head.Kind, head.Name, err)
	}
	return nil
}

// take takes an object of a kind that is looked at.
func (f *folder) take(kind string, text []byte, where string) error {
	o := &f.objects
	if len(o.Scenarios)+len(o.PipelineRuns)+len(o.TaskRuns) > maxObjects {
		return fmt.Errorf("more than %d objects", maxObjects)
	}
	switch kind {
	case "IntegrationTestScenario":
		return appendTo(&o.Scenarios, text)
	case "PipelineRun":
		return appendTo(&o.PipelineRuns, text)
	case "TaskRun":
		return appendTo(&o.TaskRuns, text)
	case "ComponentGroup":
		f.groups = append(f.groups, where)
		return json.Unmarshal(text, &o.Group)
	case "Snapshot":
		f.snapshots = append(f.snapshots, where)
		return errors.Join(json.Unmarshal(text, &o.Snapshot), f.superseded(text))
	}
	f.others++
	return nil
}

func appendTo[T any](list *[]T, text []byte) error {
	var object T
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	*list = append(*list, object)
	return nil
}

// superseded reads from the Snapshot's conditions whether a newer one took its place.
func (f *folder) superseded(text []byte) error {
	var s struct {
		Status struct {
			Conditions []pipelinerun.Condition `json:"conditions"`
		} `json:"status"`
	}
	err := json.Unmarshal(text, &s)
	f.objects.Superseded = slices.ContainsFunc(s.Status.Conditions, func(c pipelinerun.Condition) bool {
		return c.Type == "AppStudioIntegrationStatus" && c.Reason == "Canceled"
	})
	return err
}

// everywhere returns the scenarios without their contexts.
func (f *folder) everywhere() []konflux.IntegrationTestScenario {
	list := slices.Clone(f.objects.Scenarios)
	for i := range list {
		list[i].Spec.Contexts = nil
	}
	return list
}
