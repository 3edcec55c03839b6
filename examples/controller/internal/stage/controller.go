package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Controller is one that runs as a process of its own.
type Controller struct {
	cmd     *exec.Cmd
	gone    chan struct{} // closed when it is over
	end     error         // once gone
	log     string
	metrics string
	health  string
}

// Start starts a controller as the administrator of the cluster. It logs into a file of the cluster's folder.
func (s *Stage) Start(name string, args ...string) (*Controller, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	c := &Controller{gone: make(chan struct{}), log: filepath.Join(s.Dir(), name+".log"), metrics: ports[0], health: ports[1]}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	args = append([]string{"-kubeconfig", s.Kubeconfig(), "-metrics-address", c.metrics, "-health-address", c.health}, args...)
	c.cmd = exec.Command(os.Getenv(binaryVariable), args...)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the kernel ends a child when the thread that started it ends
		c.cmd.SysProcAttr = dieWithParent()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.end = c.cmd.Wait()
			close(c.gone)
		}
	}()
	return c, <-started
}

// Kill ends the controller with SIGKILL and returns when it is gone.
func (c *Controller) Kill() error {
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.gone
	return nil
}

// Stop asks the controller to end, and returns how it did.
func (c *Controller) Stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.gone
	return c.end
}

// Gone is closed when the controller is over.
func (c *Controller) Gone() <-chan struct{} { return c.gone }

// Ready returns when the controller says that it is.
func (c *Controller) Ready(ctx context.Context) error {
	for {
		if code, err := get(ctx, "http://"+c.health+"/readyz", nil); err == nil && code == http.StatusOK {
			return nil
		}
		select {
		case <-c.gone:
			return fmt.Errorf("the controller ended: %w; see %s", errors.Join(c.end, errors.New("before it was ready")), c.log)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Metrics returns the sum of every metric over its labels, by name.
func (c *Controller) Metrics(ctx context.Context) (map[string]float64, error) {
	sums := map[string]float64{}
	_, err := get(ctx, "http://"+c.metrics+"/metrics", func(line string) {
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			return
		}
		name, _, _ := strings.Cut(line[:i], "{")
		if value, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			sums[name] += value
		}
	})
	return sums, err
}

// get calls f with every line of the answer.
func get(ctx context.Context, url string, f func(line string)) (code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for f != nil && lines.Scan() {
		f(lines.Text())
	}
	return response.StatusCode, lines.Err()
}

// Memory returns how much memory the controller uses now, and how much it has used at most, in bytes.
func (c *Controller) Memory() (now, most int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); n == 1 {
			now = kilobytes << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			most = kilobytes << 10
		}
	}
	return now, most, nil
}

// freePorts returns addresses at which nobody listens.
func freePorts(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // when all are found, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
