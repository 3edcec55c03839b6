package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// Annotations of a pod that say how it ends, where [Options.Execute] does not. In a pipeline they stand in
// taskSpec.metadata.annotations of a task; Tekton hands them on to the pod.
const (
	// AnnotationResults holds a JSON object: the results by name. What is no string is handed on as JSON.
	AnnotationResults = "testdag.dev/results"

	// AnnotationExitCode holds the exit code of the last step. 0 if it is missing.
	AnnotationExitCode = "testdag.dev/exit-code"

	// AnnotationAfter holds how long the pod runs, as time.ParseDuration reads it. No time if it is missing.
	AnnotationAfter = "testdag.dev/after"
)

const (
	nodeName = "stand-in"

	// What the images of Tekton's own containers and of steps without a digest are said to have.
	noDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

	// Set by Tekton, if it is told to keep the pods of what is canceled.
	cancelAnnotation = "tekton.dev/cancel"

	// What a kubelet reads of a termination message.
	terminationLimit = 4096
)

// A kubelet stands in for the nodes of the cluster and their scheduler: each pod is bound at once, runs, and ends with the
// termination message in which Tekton looks for results. No container is started.
type kubelet struct {
	client  dynamic.Interface
	execute func(context.Context, *corev1.Pod) (map[string]string, int)
	log     *zap.Logger

	lives sync.WaitGroup
	pods  map[types.UID]*life // those that are being seen to; owned by run
}

// A life is what is being done for one pod.
type life struct {
	end     context.CancelCauseFunc
	deleted bool
}

var (
	errDeleted  = errors.New("the pod is deleted")
	errCanceled = errors.New("the pod is canceled")
)

func (k *kubelet) resource() dynamic.NamespaceableResourceInterface {
	return k.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"})
}

// run sees to pods until ctx ends. Whatever it cannot do because the API server is away, it does when that is back.
func (k *kubelet) run(ctx context.Context) {
	defer k.lives.Wait()
	k.pods = map[types.UID]*life{}
	for ctx.Err() == nil {
		if err := k.follow(ctx); err != nil && ctx.Err() == nil {
			k.log.Debug("pods are not seen", zap.Error(err))
		}
		_ = pause(ctx, 200*time.Millisecond)
	}
}

// follow lists pods and watches them until that fails.
func (k *kubelet) follow(ctx context.Context) error {
	list, err := k.resource().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	there := map[types.UID]bool{}
	for i := range list.Items {
		there[list.Items[i].GetUID()] = true
		k.see(ctx, &list.Items[i])
	}
	for uid := range k.pods {
		if !there[uid] {
			k.forget(uid)
		}
	}
	changes, err := k.resource().Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		return err
	}
	defer changes.Stop()
	for event := range changes.ResultChan() {
		switch o := event.Object.(type) {
		case *unstructured.Unstructured:
			if event.Type == watch.Deleted {
				k.forget(o.GetUID())
			} else {
				k.see(ctx, o)
			}
		default:
			return apierrors.FromObject(o)
		}
	}
	return errors.New("the watch ended")
}

// forget ends what is done for a pod that is gone.
func (k *kubelet) forget(uid types.UID) {
	if l := k.pods[uid]; l != nil {
		l.end(errDeleted)
		delete(k.pods, uid)
	}
}

// see takes the state of a pod into account.
func (k *kubelet) see(ctx context.Context, o *unstructured.Unstructured) {
	pod := &corev1.Pod{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, pod); err != nil {
		k.log.Error("pod not understood", zap.String("pod", o.GetName()), zap.Error(err))
		return
	}
	l := k.pods[pod.UID]
	over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	switch {
	case pod.DeletionTimestamp != nil:
		if l == nil {
			l = &life{end: func(error) {}}
			k.pods[pod.UID] = l
		}
		if !l.deleted {
			l.deleted = true
			l.end(errDeleted)
			k.lives.Go(func() { k.remove(ctx, pod) })
		}
	case l != nil && pod.Annotations[cancelAnnotation] != "":
		l.end(errCanceled)
	case l == nil && !over:
		own, end := context.WithCancelCause(ctx)
		k.pods[pod.UID] = &life{end: end}
		k.lives.Go(func() {
			defer end(nil)
			k.live(ctx, own, pod)
		})
	}
}

// live binds a pod, runs it and says how it ended. What is done for the pod alone ends with ctx, at the latest with all.
func (k *kubelet) live(all, ctx context.Context, pod *corev1.Pod) {
	if pod.Spec.NodeName == "" && !k.insist(ctx, func() error { return k.bind(ctx, pod) }) {
		return
	}
	started := metav1.Now()
	if !k.insist(ctx, func() error { return k.report(ctx, pod, running(pod, started)) }) {
		return
	}
	k.log.Debug("pod runs", zap.String("namespace", pod.Namespace), zap.String("pod", pod.Name))
	e := k.carryOut(ctx, pod)
	if errors.Is(context.Cause(ctx), errCanceled) {
		e, ctx = ending{exitCode: 1, reason: "Cancelled"}, all
	}
	k.insist(ctx, func() error { return k.report(ctx, pod, ended(pod, started, e)) })
	k.log.Debug("pod ended", zap.String("namespace", pod.Namespace), zap.String("pod", pod.Name), zap.Int("exit-code", e.exitCode))
}

// insist tries until it succeeds, and returns false if that is no use any more.
func (k *kubelet) insist(ctx context.Context, try func() error) bool {
	for {
		err := try()
		if err == nil {
			return true
		}
		switch {
		case ctx.Err() != nil, apierrors.IsNotFound(err), apierrors.IsConflict(err): // gone, or another one by now
			return false
		case apierrors.IsInvalid(err):
			k.log.Error("pod given up", zap.Error(err))
			return false
		}
		_ = pause(ctx, 200*time.Millisecond)
	}
}

func (k *kubelet) bind(ctx context.Context, pod *corev1.Pod) error {
	binding := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Binding",
		"metadata": map[string]any{"name": pod.Name, "uid": string(pod.UID)},
		"target":   map[string]any{"apiVersion": "v1", "kind": "Node", "name": nodeName},
	}}
	_, err := k.resource().Namespace(pod.Namespace).Create(ctx, binding, metav1.CreateOptions{}, "binding")
	if apierrors.IsConflict(err) { // an answer of before got lost
		return nil
	}
	return err
}

func (k *kubelet) report(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = k.resource().Namespace(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// remove confirms that a pod is over, so that it goes.
func (k *kubelet) remove(ctx context.Context, pod *corev1.Pod) {
	k.insist(ctx, func() error {
		now, uid := int64(0), pod.UID
		return k.resource().Namespace(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &uid},
		})
	})
}

// An ending is how a pod ends.
type ending struct {
	results  map[string]string
	exitCode int
	reason   string // of what did not end by itself
	message  string // of what cannot be told by an exit code
}

// carryOut lets a pod run, and returns how it ended.
func (k *kubelet) carryOut(ctx context.Context, pod *corev1.Pod) ending {
	if k.execute != nil {
		results, exitCode := k.execute(ctx, pod)
		return ending{results: results, exitCode: exitCode}
	}
	results, exitCode, after, err := annotated(pod.Annotations)
	if err != nil {
		return ending{exitCode: 1, reason: "Error", message: err.Error()}
	}
	_ = pause(ctx, after)
	return ending{results: results, exitCode: exitCode}
}

// annotated returns what the annotations of a pod say.
func annotated(annotations map[string]string) (results map[string]string, exitCode int, after time.Duration, err error) {
	var errs []error
	note := func(name string, read func(string) error) {
		if value := annotations[name]; value != "" {
			if err := read(value); err != nil {
				errs = append(errs, fmt.Errorf("annotation %s: %w", name, err))
			}
		}
	}
	note(AnnotationResults, func(value string) (err error) { results, err = resultValues(value); return err })
	note(AnnotationExitCode, func(value string) (err error) { exitCode, err = strconv.Atoi(value); return err })
	note(AnnotationAfter, func(value string) (err error) { after, err = time.ParseDuration(value); return err })
	return results, exitCode, after, errors.Join(errs...)
}

func resultValues(text string) (map[string]string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, value := range raw {
		var s string
		if json.Unmarshal(value, &s) != nil {
			s = string(value)
		}
		values[name] = s
	}
	return values, nil
}

// running is the status of a pod whose containers all run.
func running(pod *corev1.Pod, started metav1.Time) corev1.PodStatus {
	status := bound(corev1.PodRunning, started)
	status.InitContainerStatuses = initialized(pod, started)
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(c, true, corev1.ContainerState{
			Running: &corev1.ContainerStateRunning{StartedAt: started},
		}))
	}
	return status
}

// ended is the status of a pod whose containers are over. Its last step has ended as e says, and the others well.
func ended(pod *corev1.Pod, started metav1.Time, e ending) corev1.PodStatus {
	message, err := terminationMessage(e.results, started)
	if err != nil {
		e.exitCode, e.message = 1, err.Error()
	}
	phase := corev1.PodSucceeded
	if e.exitCode != 0 {
		phase = corev1.PodFailed
	}
	status := bound(phase, started)
	status.Message = e.message
	status.InitContainerStatuses = initialized(pod, started)
	last := lastStep(pod)
	for i, c := range pod.Spec.Containers {
		end := &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: started, FinishedAt: metav1.Now()}
		if strings.HasPrefix(c.Name, "step-") {
			end.Message, _ = terminationMessage(nil, started)
		}
		if i == last {
			end.Message, end.ExitCode = message, int32(e.exitCode)
			if e.exitCode != 0 {
				end.Reason = "Error"
			}
			if e.reason != "" {
				end.Reason = e.reason
			}
		}
		status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(c, false, corev1.ContainerState{Terminated: end}))
	}
	return status
}

func bound(phase corev1.PodPhase, started metav1.Time) corev1.PodStatus {
	ready := corev1.ConditionFalse
	if phase == corev1.PodRunning {
		ready = corev1.ConditionTrue
	}
	return corev1.PodStatus{
		Phase:     phase,
		StartTime: &started,
		HostIP:    loopback,
		PodIP:     loopback,
		PodIPs:    []corev1.PodIP{{IP: loopback}},
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: started},
			{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: started},
			{Type: corev1.ContainersReady, Status: ready, LastTransitionTime: metav1.Now()},
			{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.Now()},
		},
	}
}

func initialized(pod *corev1.Pod, started metav1.Time) (statuses []corev1.ContainerStatus) {
	for _, c := range pod.Spec.InitContainers {
		statuses = append(statuses, containerStatus(c, false, corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: started, FinishedAt: started},
		}))
	}
	return statuses
}

func containerStatus(c corev1.Container, ready bool, state corev1.ContainerState) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: c.Name, Image: c.Image, ImageID: imageID(c.Image), State: state, Ready: ready, Started: &ready, ContainerID: "stand-in://" + c.Name,
	}
}

// imageID returns what an image would be after a pull: a name by digest, without which Chains signs nothing.
func imageID(image string) string {
	if strings.Contains(image, "@sha256:") {
		return image
	}
	return fmt.Sprintf("%s@sha256:%x", image, sha256.Sum256([]byte(image)))
}

func lastStep(pod *corev1.Pod) int {
	last := len(pod.Spec.Containers) - 1
	for i, c := range pod.Spec.Containers {
		if strings.HasPrefix(c.Name, "step-") {
			last = i
		}
	}
	return last
}

// terminationMessage is what Tekton's entrypoint leaves at the end of a step.
func terminationMessage(results map[string]string, started metav1.Time) (string, error) {
	type entry struct {
		Key   string `json:"key"`
		Value string `json:"value"`
		Type  int    `json:"type"`
	}
	const result, internal = 1, 3
	entries := []entry{{"StartedAt", started.UTC().Format("2006-01-02T15:04:05.000Z07:00"), internal}}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		entries = append(entries, entry{name, results[name], result})
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return "", err
	}
	if len(text) > terminationLimit {
		none, _ := terminationMessage(nil, started)
		return none, fmt.Errorf("the results take %d bytes of a termination message, more than %d", len(text), terminationLimit)
	}
	return string(text), nil
}
