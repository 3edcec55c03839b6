package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAnnotated(t *testing.T) {
	results, exitCode, after, err := annotated(map[string]string{
		AnnotationResults: `{"text":"a","number":3,"object":{"uri":"b"},"list":["c"]}`, AnnotationExitCode: "7", AnnotationAfter: "1m30s", "other": "x",
	})
	if err != nil || exitCode != 7 || after != 90*time.Second {
		t.Errorf("exit code %d after %s, %v", exitCode, after, err)
	}
	if diff := cmp.Diff(map[string]string{"text": "a", "number": "3", "object": `{"uri":"b"}`, "list": `["c"]`}, results); diff != "" {
		t.Error(diff)
	}
	if results, exitCode, after, err := annotated(nil); len(results) != 0 || exitCode != 0 || after != 0 || err != nil {
		t.Errorf("without annotations: %v, %d, %s, %v", results, exitCode, after, err)
	}
	_, _, _, err = annotated(map[string]string{AnnotationResults: "[]", AnnotationExitCode: "seven", AnnotationAfter: "soon"})
	for _, name := range []string{AnnotationResults, AnnotationExitCode, AnnotationAfter} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("nothing is said of %s: %v", name, err)
		}
	}
}

func TestEnded(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "step-first", Image: "registry.test/a"}, {Name: "step-last", Image: "registry.test/b@" + noDigest}, {Name: "sidecar-c", Image: "registry.test/c"},
	}}}
	started := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC))
	const begin = `[{"key":"StartedAt","value":"2026-01-02T03:04:05.006Z","type":3}`
	type container struct {
		Name, ImageID, Message, Reason string
		ExitCode                       int32
	}
	hashed := imageID("registry.test/a")
	if !strings.HasPrefix(hashed, "registry.test/a@sha256:") || len(hashed) != len("registry.test/a@sha256:")+64 {
		t.Errorf("image %s", hashed)
	}
	for name, test := range map[string]struct {
		ending ending
		phase  corev1.PodPhase
		last   container
		says   string
	}{
		"passed": {
			ending{results: map[string]string{"b": "2", "a": "1"}}, corev1.PodSucceeded,
			container{Message: begin + `,{"key":"a","value":"1","type":1},{"key":"b","value":"2","type":1}]`, Reason: "Completed"}, "",
		},
		"failed": {ending{exitCode: 3}, corev1.PodFailed, container{Message: begin + "]", Reason: "Error", ExitCode: 3}, ""},
		"too much": {
			ending{results: map[string]string{"a": strings.Repeat("x", terminationLimit)}}, corev1.PodFailed,
			container{Message: begin + "]", Reason: "Error", ExitCode: 1}, "more than 4096",
		},
		"canceled": {ending{exitCode: 1, reason: "Cancelled"}, corev1.PodFailed, container{Message: begin + "]", Reason: "Cancelled", ExitCode: 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status := ended(pod, started, test.ending)
			if status.Phase != test.phase || !strings.Contains(status.Message, test.says) || test.says == "" && status.Message != "" {
				t.Errorf("%s, and says %q", status.Phase, status.Message)
			}
			test.last.Name, test.last.ImageID = "step-last", "registry.test/b@"+noDigest
			want := []container{
				{Name: "step-first", ImageID: hashed, Message: begin + "]", Reason: "Completed"},
				test.last,
				{Name: "sidecar-c", ImageID: imageID("registry.test/c"), Reason: "Completed"},
			}
			var got []container
			for _, c := range status.ContainerStatuses {
				end := c.State.Terminated
				got = append(got, container{c.Name, c.ImageID, end.Message, end.Reason, end.ExitCode})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
