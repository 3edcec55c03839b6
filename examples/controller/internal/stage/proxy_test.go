package stage

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// A proxy stands between a controller and the API server, makes it somebody, and notes what it asks for.
type proxy struct {
	kubeconfig string
	mu         sync.Mutex
	requests   map[string]int // by group, resource and verb, as in "tekton.dev pipelineruns list"
	refused    map[string]int // likewise, those that were forbidden
}

// proxyFor starts a proxy whose users are that account, or the administrator if there is none.
func proxyFor(t *testing.T, s *Stage, account string) *proxy {
	t.Helper()
	p := &proxy{requests: map[string]int{}, refused: map[string]int{}}
	config := s.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: account}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	host, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(host) },
		Transport:     transport,
		FlushInterval: -1, // of a watch nothing may wait
		ModifyResponse: func(r *http.Response) error {
			if what := asked(r.Request); what != "" && r.StatusCode == http.StatusForbidden {
				p.note(p.refused, what)
			}
			return nil
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if what := asked(r); what != "" {
			p.note(p.requests, what)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	p.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	const format = `{"apiVersion":"v1","kind":"Config","current-context":"proxy","clusters":[{"name":"proxy","cluster":{"server":%q}}],
"contexts":[{"name":"proxy","context":{"cluster":"proxy"}}]}`
	if err := os.WriteFile(p.kubeconfig, fmt.Appendf(nil, format, server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *proxy) note(in map[string]int, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in[what]++
}

// list returns a count, a line each.
func (p *proxy) list(of map[string]int) (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(of))
}

// asked returns what a request asks for, in the words of RBAC; nothing for what everybody may ask.
func asked(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, parts = parts[1], parts[3:]
	default:
		return "" // discovery
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	resource := parts[0]
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	return strings.TrimSpace(group + " " + resource + " " + verb(r, len(parts) > 1))
}

func verb(r *http.Request, named bool) string {
	switch {
	case r.Method == http.MethodGet && r.URL.Query().Get("watch") != "":
		return "watch"
	case r.Method == http.MethodGet && named:
		return "get"
	case r.Method == http.MethodGet:
		return "list"
	}
	return map[string]string{http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}[r.Method]
}
