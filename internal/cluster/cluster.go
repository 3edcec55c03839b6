package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"go.uber.org/zap"
	"go.uber.org/zap/zapio"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Options say what a cluster is to have. The zero value is a control plane with Tekton, whose pods end as their
// annotations say.
type Options struct {
	// Chains is the format in which Tekton Chains writes provenance, as its setting artifacts.taskrun.format has it:
	// in-toto, slsa/v1, slsa/v2alpha3, slsa/v2alpha4. Empty means that Chains does not run. It runs only in a program
	// that has called [Isolate].
	Chains string

	// Resolvers has Tekton's resolvers run, for pipelines that are named by a resolver. The resolver "cluster" works.
	Resolvers bool

	// Bare leaves Tekton out, so that there is an API server and nothing else. Chains and Resolvers must not be set.
	Bare bool

	// Execute is what happens when a pod runs. It returns the results and the exit code of the pod's last step; its
	// context ends when the pod is deleted or the cluster is closed, which waits for it. Nil means that the pod's
	// annotations say it; see [AnnotationResults].
	Execute func(ctx context.Context, pod *corev1.Pod) (results map[string]string, exitCode int)

	// Dir is where data and logs are kept. Empty means a temporary folder, which Close removes.
	Dir string

	// Logger is told what happens to the components and to pods. Nil means that nobody is.
	Logger *zap.Logger
}

// A Cluster is a control plane that runs.
type Cluster struct {
	opts      Options
	dir       string
	log       *zap.Logger
	thread    thread
	config    *rest.Config
	client    dynamic.Interface
	processes []*process // in the order in which they start
	registry  *httptest.Server
	publicKey []byte
	secret    string             // is in every token
	stop      context.CancelFunc // of what runs in this process
	stopped   []<-chan struct{}  // closed when that is over
	closed    sync.Once
}

// Start brings a control plane up, builds what is missing of it before, and returns when it works. What ctx bounds is the
// start alone; the cluster runs until it is closed, or until this process ends, however that comes about.
func Start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if err := Build(ctx, &zapio.Writer{Log: opts.Logger}, opts.components()...); err != nil {
		if isolated() {
			err = fmt.Errorf("%w\nwithout a network nothing can be fetched: call Build before Isolate", err)
		}
		return nil, err
	}
	c := &Cluster{opts: opts, log: opts.Logger, thread: newThread(), secret: rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	return c, c.start(ctx)
}

func (o Options) check() error {
	if o.Bare && (o.Chains != "" || o.Resolvers) {
		return errors.New("cluster: Chains and Resolvers are of no use in a Bare cluster")
	}
	if o.Chains != "" && !isolated() {
		return errors.New("cluster: Chains reads its key in " + secretsDir + " alone: call Isolate before Start")
	}
	return nil
}

func (o Options) components() []Component {
	components := []Component{Etcd, APIServer}
	if !o.Bare {
		components = append(components, Tekton)
	}
	if o.Resolvers {
		components = append(components, Resolvers)
	}
	if o.Chains != "" {
		components = append(components, Chains)
	}
	return components
}

func (c *Cluster) start(ctx context.Context) error {
	begin := time.Now()
	if err := c.makeDir(); err != nil {
		return err
	}
	c.registry = httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	running, stop := context.WithCancel(context.Background())
	c.stop = stop
	steps := []func(context.Context) error{c.startControlPlane}
	if !c.opts.Bare {
		steps = append(steps, c.startTekton)
	}
	if c.opts.Resolvers {
		steps = append(steps, c.startResolvers)
	}
	if c.opts.Chains != "" {
		steps = append(steps, c.startChains)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	k := &kubelet{client: c.client, execute: c.opts.Execute, log: c.log}
	c.inBackground(func() { k.run(running) })
	c.log.Info("cluster started", zap.Duration("took", time.Since(begin)), zap.String("dir", c.dir))
	return nil
}

// inBackground runs f until the cluster is closed.
func (c *Cluster) inBackground(f func()) {
	done := make(chan struct{})
	c.stopped = append(c.stopped, done)
	go func() {
		defer close(done)
		f()
	}()
}

func (c *Cluster) makeDir() (err error) {
	c.dir = c.opts.Dir
	if c.dir == "" {
		c.dir, err = os.MkdirTemp("", "testdag-cluster-")
		return err
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return err
	}
	return os.MkdirAll(c.dir, 0o755)
}

// Close ends everything, at once and without a drain, and removes the data unless Options.Dir named a folder for it.
func (c *Cluster) Close() (err error) {
	c.closed.Do(func() { err = c.close() })
	return err
}

func (c *Cluster) close() error {
	if c.stop != nil {
		c.stop()
	}
	for _, done := range c.stopped {
		<-done
	}
	var errs []error
	for _, p := range slices.Backward(c.processes) {
		errs = append(errs, p.kill())
	}
	close(c.thread)
	if c.registry != nil {
		c.registry.CloseClientConnections()
		c.registry.Close()
	}
	if c.opts.Dir == "" && c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// Config returns what a client needs to be the administrator, without a limit of requests. To be somebody else, set
// Impersonate in it: the API server authorizes with RBAC.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Kubeconfig returns the path of a file that has a command be the administrator.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// Registry returns the host and port of a registry that has the referrers API and asks for no credentials. It is in this
// process, and empty at the beginning.
func (c *Cluster) Registry() string { return strings.TrimPrefix(c.registry.URL, "http://") }

// PublicKey returns the key in PEM that verifies what Chains signs, or nil without Chains. It is one for all clusters of a
// program.
func (c *Cluster) PublicKey() []byte { return slices.Clone(c.publicKey) }

// Dir returns the folder with the data, and with a log for each component, named after it.
func (c *Cluster) Dir() string { return c.dir }

// Kill ends a component with SIGKILL and returns when it is gone. If it is gone already, nothing happens.
func (c *Cluster) Kill(component Component) error {
	p, err := c.process(component)
	if err != nil {
		return err
	}
	c.log.Info("kill", zap.String("component", string(component)))
	return p.kill()
}

// StartAgain starts a component that was killed, with the data, the address and the arguments that it had, and returns
// when it is ready. For Resolvers that is after a minute, when the term of office of the killed one has ended.
func (c *Cluster) StartAgain(ctx context.Context, component Component) error {
	p, err := c.process(component)
	if err != nil {
		return err
	}
	c.log.Info("start again", zap.String("component", string(component)))
	return p.start(ctx, c.thread)
}

// Memory returns how much memory each running component has at most used, in bytes.
func (c *Cluster) Memory() map[Component]int64 {
	used := map[Component]int64{}
	for _, p := range c.processes {
		if n := p.memory(); n > 0 {
			used[p.component] = n
		}
	}
	return used
}

func (c *Cluster) process(component Component) (*process, error) {
	for _, p := range c.processes {
		if p.component == component {
			return p, nil
		}
	}
	return nil, fmt.Errorf("cluster: %s is no component of this cluster", component)
}

// Namespace makes a namespace in which pods can run, unless it is there. Namespaces cannot be deleted here, since nobody
// empties them.
func (c *Cluster) Namespace(ctx context.Context, name string) error {
	namespaces := c.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	accounts := c.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}).Namespace(name)
	return errors.Join(
		create(ctx, namespaces, "Namespace", name),
		create(ctx, accounts, "ServiceAccount", "default"), // Tekton asks for it
	)
}

// create makes an object that has nothing but a name, unless it is there.
func create(ctx context.Context, r dynamic.ResourceInterface, kind, name string) error {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("v1")
	object.SetKind(kind)
	object.SetName(name)
	if _, err := r.Create(ctx, object, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("cluster: %s %s: %w", kind, name, err)
	}
	return nil
}
