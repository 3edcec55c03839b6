package registries

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// user is who may use a guarded registry, with the password that the keys have too.
const user = "robot"

// A guard stands before a registry as in a company: TLS with a certificate of an authority of its own, and a password.
type guard struct {
	ca, certificate, key, htpasswd string // files
	hash                           []byte // of the password
	pool                           *x509.CertPool
	pair                           tls.Certificate
}

func newGuard(t *testing.T) *guard {
	dir := t.TempDir()
	caKey, ca := certificate(t, nil, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority of these tests"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	key, leaf := certificate(t, caKey, ca, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{
		ca:          write(t, dir, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})),
		certificate: write(t, dir, "server.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})),
		key:         write(t, dir, "server.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
		htpasswd:    write(t, dir, "htpasswd", fmt.Appendf(nil, "%s:%s\n", user, hash)),
		hash:        hash,
		pool:        x509.NewCertPool(),
	}
	g.pool.AddCert(ca)
	if g.pair, err = tls.LoadX509KeyPair(g.certificate, g.key); err != nil {
		t.Fatal(err)
	}
	return g
}

// certificate makes a key and a certificate for it, of an authority or of itself.
func certificate(t *testing.T, caKey *ecdsa.PrivateKey, ca, template *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if ca == nil {
		caKey, ca = key, template
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, made
}

func write(t *testing.T, dir, name string, text []byte) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dockerConfig writes the file that docker login would write, and returns its folder.
func dockerConfig(t *testing.T, host, password string) string {
	type login struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	text, err := json.Marshal(map[string]map[string]login{"auths": {host: {user, password}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "config.json", text)
	return dir
}

// before stands before a registry that has no guard of its own.
func (g *guard) before(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, given, _ := r.BasicAuth()
		if name != user || bcrypt.CompareHashAndPassword(g.hash, []byte(given)) != nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="tests"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (g *guard) serverConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{g.pair}}
}

// tls and auth are what distribution's configuration says of the guard.
func (g *guard) tls() string {
	if g == nil {
		return ""
	}
	return fmt.Sprintf(", tls: {certificate: %q, key: %q}", g.certificate, g.key)
}

func (g *guard) auth() string {
	if g == nil {
		return ""
	}
	return fmt.Sprintf("auth: {htpasswd: {realm: tests, path: %q}}", g.htpasswd)
}

func (g *guard) scheme() string {
	if g == nil {
		return "http"
	}
	return "https"
}

func (g *guard) transport() http.RoundTripper {
	t := NewTransport()
	if g != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: g.pool}
	}
	return t
}
