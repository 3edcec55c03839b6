package tekton

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/testdag/testdag/scheduler/pipelinerun"
)

// CarryOut makes changes in their order: it writes the Update into the object that they were made for, creates and
// cancels PipelineRuns, and releases those whose end is kept.
//
// If the object is not the version any more that was read, that is a *[ConflictError], and nothing was done. If the Update
// failed otherwise, which is an error by itself, nothing was created, canceled or released; it may have been written all the
// same if the answer was lost. After it, what fails does not keep the rest from
// being done, and all errors are joined by [errors.Join]. Runs that are refused for good are no errors: they are returned by
// name, with the reason, to be told to the next call of konflux.Next in Objects.Refused.
func (c *Client) CarryOut(ctx context.Context, object Object, changes pipelinerun.Changes) (refused map[string]string, err error) {
	if !changes.Update.IsZero() || len(changes.Create)+len(changes.Cancel) > 0 {
		if err := c.update(ctx, object, changes.Update); err != nil {
			return nil, err
		}
	}
	var faults []error
	for _, run := range changes.Create {
		var no *RefusedError
		if err := c.Create(ctx, run); errors.As(err, &no) {
			if refused == nil {
				refused = map[string]string{}
			}
			refused[run.Name] = no.Reason
		} else {
			faults = append(faults, err)
		}
	}
	for _, cancel := range changes.Cancel {
		faults = append(faults, c.Cancel(ctx, cancel))
	}
	for _, name := range changes.Release {
		faults = append(faults, c.Release(ctx, name, changes.Finalizers...))
	}
	return refused, errors.Join(faults...)
}

// update writes what a plan says of its object, in one request that only succeeds if the object is as it was.
func (c *Client) update(ctx context.Context, object Object, u pipelinerun.Update) error {
	if object.ResourceVersion == "" {
		return &OptionError{"Object.ResourceVersion", "is empty; give the one that was read"}
	}
	annotations, labels := map[string]any{}, map[string]any{}
	for key, value := range u.Annotations {
		annotations[key] = value
	}
	for _, key := range u.RemoveAnnotations {
		annotations[key] = nil
	}
	for _, key := range u.RemoveLabels {
		labels[key] = nil
	}
	metadata := map[string]any{"resourceVersion": object.ResourceVersion}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	if len(labels) > 0 {
		metadata["labels"] = labels
	}
	_, err := c.patch(ctx, object.Resource, object.Name, map[string]any{"metadata": metadata})
	switch {
	case apierrors.IsConflict(err):
		return &ConflictError{object, err}
	case err != nil:
		return fmt.Errorf("tekton: cannot write the state into %s %s: %w", object.Resource.Resource, object.Name, err)
	}
	return nil
}
