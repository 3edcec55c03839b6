package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

const loopback = "127.0.0.1"

// The accounts that components log in as.
const (
	adminAccount     = "admin"
	tektonAccount    = "tekton-pipelines-controller"
	resolversAccount = "tekton-pipelines-resolvers"
	chainsAccount    = "tekton-chains-controller"
)

// token returns what an account logs in with. It is another one in each cluster: who is on the same machine can reach the
// API server of a program that is not isolated.
func (c *Cluster) token(account string) string { return account + "-" + c.secret }

// tokens returns the API server's token file: token, name, an identity and groups.
func (c *Cluster) tokens() string {
	text := fmt.Sprintf("%s,admin,1,\"system:masters\"\n", c.token(adminAccount))
	for i, a := range []struct{ account, namespace string }{
		{tektonAccount, "tekton-pipelines"}, {resolversAccount, "tekton-pipelines-resolvers"}, {chainsAccount, "tekton-chains"},
	} {
		text += fmt.Sprintf("%s,system:serviceaccount:%s:%s,%d,\"system:serviceaccounts,system:serviceaccounts:%s\"\n",
			c.token(a.account), a.namespace, a.account, i+2, a.namespace)
	}
	return text
}

// startControlPlane starts etcd and the API server.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	store, peers := "http://"+ports[0], "http://"+ports[1]
	if err := c.startProcess(ctx, Etcd, nil, serves(store+"/health"),
		"--data-dir="+filepath.Join(c.dir, "etcd"),
		"--listen-client-urls="+store, "--advertise-client-urls="+store,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers,
		"--unsafe-no-fsync", // a kill loses nothing, and a crash of the machine ends the test anyway
		"--log-level=warn",
	); err != nil {
		return err
	}
	if err := c.makeAccess(ports[2]); err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(c.config)
	if err != nil {
		return err
	}
	client.Timeout = time.Second
	return c.startProcess(ctx, APIServer, nil, servesWith(client, c.config.Host+"/readyz"),
		"--etcd-servers="+store,
		"--bind-address="+loopback, "--advertise-address="+loopback, "--secure-port="+portOf(ports[2]),
		"--tls-cert-file="+c.file("tls.crt"), "--tls-private-key-file="+c.file("tls.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.file("tls.pub"), "--service-account-signing-key-file="+c.file("tls.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--token-auth-file="+c.file("tokens.csv"), "--authorization-mode=RBAC",
		"--disable-admission-plugins=ServiceAccount", // nobody makes the accounts that it asks for
		"--endpoint-reconciler-type=none",
	)
}

// file returns the path of a file in the data folder.
func (c *Cluster) file(name string) string { return filepath.Join(c.dir, name) }

// makeAccess makes what clients and the API server need to trust one another.
func (c *Cluster) makeAccess(address string) error {
	key, private, public, err := newKey()
	if err != nil {
		return err
	}
	certificate, err := newCertificate(key)
	if err != nil {
		return err
	}
	c.config = &rest.Config{
		Host:            "https://" + address,
		BearerToken:     c.token(adminAccount),
		TLSClientConfig: rest.TLSClientConfig{CAData: certificate},
		QPS:             -1,
	}
	if c.client, err = dynamic.NewForConfig(c.config); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(c.file("tls.key"), private, 0o600),
		os.WriteFile(c.file("tls.pub"), public, 0o644),
		os.WriteFile(c.file("tls.crt"), certificate, 0o644),
		os.WriteFile(c.file("tokens.csv"), []byte(c.tokens()), 0o600),
		c.writeKubeconfig("kubeconfig", c.token(adminAccount)),
	)
}

// writeKubeconfig writes a kubeconfig, in JSON, for who has a token.
func (c *Cluster) writeKubeconfig(name, token string) error {
	const format = `{"apiVersion":"v1","kind":"Config","current-context":"testdag",
 "clusters":[{"name":"testdag","cluster":{"server":%q,"certificate-authority":%q}}],
 "users":[{"name":"testdag","user":{"token":%q}}],
 "contexts":[{"name":"testdag","context":{"cluster":"testdag","user":"testdag"}}]}
`
	return os.WriteFile(c.file(name), fmt.Appendf(nil, format, c.config.Host, c.file("tls.crt"), token), 0o600)
}

// newKey returns a new private key, and both halves of it in PEM.
func newKey() (key *ecdsa.PrivateKey, private, public []byte, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader); err != nil {
		return nil, nil, nil, err
	}
	if private, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return nil, nil, nil, err
	}
	if public, err = x509.MarshalPKIXPublicKey(key.Public()); err != nil {
		return nil, nil, nil, err
	}
	private = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	public = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	return key, private, public, nil
}

// newCertificate returns a certificate in PEM that key signs for itself.
func newCertificate(key *ecdsa.PrivateKey) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kube-apiserver"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost", "kubernetes.default.svc"},
		IPAddresses:           []net.IP{net.ParseIP(loopback)},
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// startProcess starts a component and remembers it.
func (c *Cluster) startProcess(ctx context.Context, component Component, env []string, ready probe, args ...string) error {
	pin := pinOf(component)
	dir, err := pin.dir()
	if err != nil {
		return err
	}
	home := []string{"HOME=" + c.dir, "TMPDIR=" + c.dir, "PATH=" + os.Getenv("PATH")} // nothing is left outside of it
	p := &process{
		component: component,
		binary:    filepath.Join(dir, string(component)),
		args:      args,
		env:       append(home, env...),
		log:       c.file(string(component) + ".log"),
		ready:     ready,
	}
	c.processes = append(c.processes, p)
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("two minutes are over"))
	defer cancel()
	begin := time.Now()
	if err := p.start(ctx, c.thread); err != nil {
		return err
	}
	c.log.Info("component is ready", zap.String("component", string(component)), zap.Duration("took", time.Since(begin)))
	return nil
}

// serves returns a probe that is content when url answers.
func serves(url string) probe {
	return servesWith(&http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, url)
}

func servesWith(client *http.Client, url string) probe {
	return func(ctx context.Context, _ time.Time) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	}
}

// freePorts returns addresses at which nobody listens. They are below those that the kernel gives to clients, one of which
// could otherwise take the port of a component that is dead for a while; and Chains reads no number above 32767.
func freePorts(n int) ([]string, error) {
	const first, end, tries = 10000, 32768, 1000
	var addresses []string
	for range tries {
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(first+rand.IntN(end-first))))
		if err != nil {
			continue // somebody does
		}
		defer l.Close() // when all are found, so that they differ
		if addresses = append(addresses, l.Addr().String()); len(addresses) == n {
			return addresses, nil
		}
	}
	return nil, fmt.Errorf("cluster: no %d free ports after %d tries", n, tries)
}

// portOf returns the port of an address that freePorts has returned.
func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		panic(err)
	}
	return port
}
