package cosign_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"go/build"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/google/certificate-transparency-go/x509util"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ssldsse "github.com/secure-systems-lab/go-securesystemslib/dsse"
	sigstore "github.com/sigstore/cosign/v2/pkg/cosign"
	rekorbundle "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"

	"github.com/testdag/testdag/attest"
	"github.com/testdag/testdag/attest/cosign"
	"github.com/testdag/testdag/attest/intoto"
)

const (
	subject = "https://example.com/acme/app/scan.yml@main"
	issuer  = "https://token.example.com"
)

// A world is a sigstore in memory: a certificate authority of our own, whose certificates can be of any age and can be
// in a certificate transparency log, with the log and the timestamp authority of sigstore-go's tests.
type world struct {
	t      testing.TB
	logs   *ca.VirtualSigstore
	key    *ecdsa.PrivateKey // of the certificate authority
	root   *x509.Certificate
	ctKey  *ecdsa.PrivateKey // of the certificate transparency log
	rooted time.Time         // when it came to be, for all that is relative
}

func newWorld(t testing.TB) *world {
	t.Helper()
	logs, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	top, key, err := ca.GenerateRootCa()
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, logs: logs, key: key, root: top, ctKey: newKey(t, elliptic.P256()), rooted: time.Now()}
}

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func keyID(t testing.TB, public crypto.PublicKey) [32]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(der)
}

func (w *world) log(public crypto.PublicKey) map[string]*root.TransparencyLog {
	id := keyID(w.t, public)
	return map[string]*root.TransparencyLog{hex.EncodeToString(id[:]): {
		BaseURL: "https://log.example.com", ID: id[:], HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256, PublicKey: public,
		ValidityPeriodStart: w.rooted.Add(-24 * time.Hour),
	}}
}

// A trust says what a trusted root names beside the certificate authority.
type trust struct{ log, time, ct bool }

var everything = trust{log: true, time: true}

func (w *world) trustedRoot(names trust) []byte {
	w.t.Helper()
	fulcio := []root.CertificateAuthority{&root.FulcioCertificateAuthority{URI: "https://fulcio.example.com", Root: w.root, ValidityPeriodStart: w.root.NotBefore}}
	var rekor, ctLogs map[string]*root.TransparencyLog
	var tsa []root.TimestampingAuthority
	if names.log {
		for _, l := range w.logs.RekorLogs() {
			rekor = w.log(l.PublicKey)
		}
	}
	if names.time {
		tsa = w.logs.TimestampingAuthorities()
	}
	if names.ct {
		ctLogs = w.log(w.ctKey.Public())
	}
	tr, err := root.NewTrustedRoot(root.TrustedRootMediaType01, fulcio, ctLogs, tsa, rekor)
	w.check(err)
	b, err := tr.MarshalJSON()
	w.check(err)
	return b
}

func (w *world) verifier(names trust, who ...cosign.Identity) attest.Verifier {
	w.t.Helper()
	if len(who) == 0 {
		who = []cosign.Identity{{Subject: subject, Issuer: issuer}}
	}
	v, err := cosign.LoadIdentityVerifier(w.trustedRoot(names), who...)
	w.check(err)
	return v
}

// certificate makes one that is valid for ten minutes.
func (w *world) certificate(public crypto.PublicKey, from time.Time, inCTLog bool) *x509.Certificate {
	w.t.Helper()
	san, err := url.Parse(subject)
	w.check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), URIs: []*url.URL{san}, NotBefore: from, NotAfter: from.Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(issuer)}},
	}
	make := func() *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, w.root, public, w.key)
		w.check(err)
		c, err := x509.ParseCertificate(der)
		w.check(err)
		return c
	}
	c := make()
	if inCTLog {
		template.ExtraExtensions = append(template.ExtraExtensions, w.logCertificate(c, from))
		c = make()
	}
	return c
}

// logCertificate returns the extension by which the certificate transparency log promises a certificate (RFC 6962).
func (w *world) logCertificate(c *x509.Certificate, at time.Time) pkix.Extension {
	w.t.Helper()
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: ct.LogID{KeyID: keyID(w.t, w.ctKey.Public())}, Timestamp: uint64(at.UnixMilli())}
	leaf := ct.MerkleTreeLeaf{Version: ct.V1, LeafType: ct.TimestampedEntryLeafType, TimestampedEntry: &ct.TimestampedEntry{
		Timestamp: sct.Timestamp, EntryType: ct.PrecertLogEntryType,
		PrecertEntry: &ct.PreCert{IssuerKeyHash: sha256.Sum256(w.root.RawSubjectPublicKeyInfo), TBSCertificate: c.RawTBSCertificate},
	}}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: leaf})
	w.check(err)
	sig, err := tls.CreateSignature(*w.ctKey, tls.SHA256, input)
	w.check(err)
	sct.Signature = ct.DigitallySigned(sig)
	list, err := x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&sct})
	w.check(err)
	der, err := tls.Marshal(*list)
	w.check(err)
	value, err := asn1.Marshal(der)
	w.check(err)
	return pkix.Extension{Id: asn1.ObjectIdentifier(ctx509.OIDExtensionCTSCT), Value: value}
}

// An act is a statement signed by identity, with all that can go beside it.
type act struct {
	payload   []byte
	from      time.Time      // when the certificate begins
	logged    time.Time      // when the log says the signature was entered
	curve     elliptic.Curve // of the key, signed with SHA-256 in any case; P-256 if nil
	inCTLog   bool
	noEntry   bool
	timestamp bool
	// spoil changes what was signed before it is stored.
	spoil func(*ssldsse.Envelope)
	// entryOf gives the log entry of another act instead.
	entryOf *act
	// beside changes what is stored beside the envelope.
	beside func(*done)
}

// now is an act as it should be: a minute ago.
func (w *world) now() act {
	return act{payload: statement(imageHex), from: w.rooted.Add(-time.Minute), logged: w.rooted}
}

type done struct {
	certificate *x509.Certificate
	envelope    ssldsse.Envelope
	stored      []byte // the envelope
	entry       *tlog.Entry
	promise     []byte
	overSig     []byte // timestamp
	overStored  []byte // timestamp
}

func (w *world) do(a act) done {
	w.t.Helper()
	if a.curve == nil {
		a.curve = elliptic.P256()
	}
	key := newKey(w.t, a.curve)
	d := done{certificate: w.certificate(key.Public(), a.from, a.inCTLog)}
	s, err := signature.LoadECDSASigner(key, crypto.SHA256)
	w.check(err)
	d.stored, err = dsse.WrapSigner(s, intoto.PayloadType).SignMessage(bytes.NewReader(a.payload))
	w.check(err)
	w.check(json.Unmarshal(d.stored, &d.envelope))
	sig, err := base64.StdEncoding.DecodeString(d.envelope.Signatures[0].Sig)
	w.check(err)
	if !a.noEntry {
		d.entry, err = w.logs.GenerateTlogEntry(d.certificate, &d.envelope, sig, a.logged.Unix(), true)
		w.check(err)
		d.promise, err = w.logs.RekorSignPayload(tlog.RekorPayload{
			Body: d.entry.Body(), IntegratedTime: a.logged.Unix(), LogIndex: d.entry.LogIndex(), LogID: hex.EncodeToString([]byte(d.entry.LogKeyID())),
		})
		w.check(err)
	}
	if a.entryOf != nil {
		other := w.do(*a.entryOf)
		d.entry, d.promise = other.entry, other.promise
	}
	if a.spoil != nil {
		a.spoil(&d.envelope)
		d.stored, err = json.Marshal(d.envelope)
		w.check(err)
	}
	if a.timestamp {
		d.overSig, err = w.logs.TimestampResponse(sig)
		w.check(err)
		d.overStored, err = w.logs.TimestampResponse(d.stored)
		w.check(err)
	}
	if a.beside != nil {
		a.beside(&d)
	}
	return d
}

// nonsense has the log enter, as it enters anything, what the signature's verifier is not.
func (w *world) nonsense(d *done) {
	w.t.Helper()
	verifier := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.certificate.Raw})
	body := d.entry.TransparencyLogEntry().GetCanonicalizedBody()
	if !bytes.Contains(body, encoded(verifier)) {
		w.t.Fatalf("the entry has no certificate: %s", body)
	}
	body = bytes.Replace(body, encoded(verifier), encoded([]byte("x")), 1)
	at, id := d.entry.IntegratedTime().Unix(), []byte(d.entry.LogKeyID())
	var err error
	d.promise, err = w.logs.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(body), IntegratedTime: at, LogID: hex.EncodeToString(id),
	})
	w.check(err)
	proof, err := w.logs.GetInclusionProof(body)
	w.check(err)
	//lint:ignore SA1019 it is an entry of the first Rekor
	d.entry, err = tlog.NewEntry(body, at, 0, id, d.promise, proof)
	w.check(err)
}

type object = map[string]any

func (w *world) encode(v any) string {
	w.t.Helper()
	b, err := json.Marshal(v)
	w.check(err)
	return string(b)
}

// inBundle stores what was done as a sigstore bundle.
func (w *world) inBundle(d done) attest.Candidate {
	w.t.Helper()
	material := object{"certificate": object{"rawBytes": d.certificate.Raw}}
	if d.entry != nil {
		tle := d.entry.TransparencyLogEntry()
		proof := tle.GetInclusionProof()
		material["tlogEntries"] = []any{object{
			"logIndex": tle.GetLogIndex(), "logId": object{"keyId": tle.GetLogId().GetKeyId()},
			"kindVersion": object{"kind": "intoto", "version": "0.0.2"}, "integratedTime": tle.GetIntegratedTime(),
			"inclusionPromise": object{"signedEntryTimestamp": d.promise},
			"inclusionProof": object{
				"logIndex": proof.GetLogIndex(), "rootHash": proof.GetRootHash(), "treeSize": proof.GetTreeSize(),
				"hashes": proof.GetHashes(), "checkpoint": object{"envelope": proof.GetCheckpoint().GetEnvelope()},
			},
			"canonicalizedBody": tle.GetCanonicalizedBody(),
		}}
	}
	if d.overSig != nil {
		material["timestampVerificationData"] = object{"rfc3161Timestamps": []any{object{"signedTimestamp": d.overSig}}}
	}
	return attest.Candidate{Image: image(w.t), MediaType: intoto.BundleType, Bytes: []byte(w.encode(object{
		"mediaType": intoto.BundleType, "verificationMaterial": material, "dsseEnvelope": json.RawMessage(d.stored),
	}))}
}

// inLayer stores what was done as cosign attest does at the .att tag.
func (w *world) inLayer(d done) attest.Candidate {
	w.t.Helper()
	annotations := map[string]string{
		"dev.sigstore.cosign/certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.certificate.Raw})),
		"dev.sigstore.cosign/chain":       string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.root.Raw})),
		"predicateType":                   "p",
	}
	if d.entry != nil {
		annotations["dev.sigstore.cosign/bundle"] = w.encode(object{"SignedEntryTimestamp": d.promise, "Payload": object{
			"body": d.entry.Body(), "integratedTime": d.entry.IntegratedTime().Unix(), "logIndex": d.entry.LogIndex(),
			"logID": hex.EncodeToString([]byte(d.entry.LogKeyID())),
		}})
	}
	if d.overStored != nil {
		annotations["dev.sigstore.cosign/rfc3161timestamp"] = w.encode(object{"SignedRFC3161Timestamp": d.overStored})
	}
	return attest.Candidate{Image: image(w.t), MediaType: intoto.EnvelopeType, Bytes: d.stored, Annotations: annotations}
}

// refused makes sure that nobody vouches, and why.
func refused(t *testing.T, v attest.Verifier, c attest.Candidate, why string) {
	t.Helper()
	payload, by, err := v.Verify(context.Background(), c)
	if err == nil || !strings.Contains(err.Error(), why) || payload != nil || by != (attest.Identity{}) {
		t.Errorf("got %q by %v, error %v, want %q", payload, by, err, why)
	}
}

func believed(t *testing.T, v attest.Verifier, c attest.Candidate) {
	t.Helper()
	payload, by, err := v.Verify(context.Background(), c)
	want := attest.Identity{Kind: "identity", Name: subject + " (" + issuer + ")"}
	if err != nil || !bytes.Equal(payload, statement(imageHex)) || by != want {
		t.Errorf("got %q by %v, %v", payload, by, err)
	}
}

// forms runs a test for both forms in which a statement comes.
func forms(t *testing.T, f func(t *testing.T, w *world, store func(done) attest.Candidate)) {
	t.Run("bundle", func(t *testing.T) { w := newWorld(t); f(t, w, w.inBundle) })
	t.Run("layer", func(t *testing.T) { w := newWorld(t); f(t, w, w.inLayer) })
}

func TestIdentity(t *testing.T) {
	forms(t, func(t *testing.T, w *world, store func(done) attest.Candidate) {
		c := store(w.do(w.now()))
		for name, tt := range map[string]struct {
			who  []cosign.Identity
			want string
		}{
			"exactly":                             {[]cosign.Identity{{Subject: subject, Issuer: issuer}}, ""},
			"by regular expressions":              {[]cosign.Identity{{SubjectRegexp: `https://example\.com/acme/.*`, IssuerRegexp: `https://token\..*\.com`}}, ""},
			"one of two":                          {[]cosign.Identity{{Subject: "somebody@example.com", Issuer: issuer}, {Subject: subject, Issuer: issuer}}, ""},
			"another subject":                     {[]cosign.Identity{{Subject: "somebody@example.com", Issuer: issuer}}, "no matching CertificateIdentity"},
			"another issuer":                      {[]cosign.Identity{{Subject: subject, Issuer: "https://other.example.com"}}, "no matching CertificateIdentity"},
			"subject of one, issuer of the other": {[]cosign.Identity{{Subject: subject, Issuer: "https://other.example.com"}, {Subject: "somebody@example.com", Issuer: issuer}}, "no matching CertificateIdentity"},
			"the subject goes on":                 {[]cosign.Identity{{Subject: strings.TrimSuffix(subject, "n"), Issuer: issuer}}, "no matching CertificateIdentity"},
			"a part of the subject":               {[]cosign.Identity{{SubjectRegexp: `example\.com/acme`, Issuer: issuer}}, "no matching CertificateIdentity"},
			"the subject's beginning":             {[]cosign.Identity{{SubjectRegexp: `https://example\.com/acme/|other`, Issuer: issuer}}, "no matching CertificateIdentity"},
			"the issuer's end":                    {[]cosign.Identity{{Subject: subject, IssuerRegexp: `other|token\.example\.com`}}, "no matching CertificateIdentity"},
			"a subject is no expression":          {[]cosign.Identity{{Subject: `https://example.com/.*`, Issuer: issuer}}, "no matching CertificateIdentity"},
		} {
			t.Run(name, func(t *testing.T) {
				v := w.verifier(everything, tt.who...)
				if tt.want != "" {
					refused(t, v, c, tt.want)
					return
				}
				believed(t, v, c)
			})
		}
	})
}

func TestWhatIdentityDemands(t *testing.T) {
	forms(t, func(t *testing.T, w *world, store func(done) attest.Candidate) {
		with := func(change func(*act)) attest.Candidate {
			a := w.now()
			change(&a)
			return store(w.do(a))
		}
		swap := func(e *ssldsse.Envelope) {
			e.Payload = base64.StdEncoding.EncodeToString(append(statement(imageHex), ' '))
		}
		stranger := w.now()
		old := w.rooted.Add(-2 * time.Hour)
		onlyLog, onlyTime := trust{log: true}, trust{time: true}
		for name, tt := range map[string]struct {
			c      attest.Candidate
			trusts trust
			want   string
		}{
			"logged":                    {with(func(a *act) {}), onlyLog, ""},
			"logged, with a timestamp":  {with(func(a *act) { a.timestamp = true }), everything, ""},
			"a timestamp alone":         {with(func(a *act) { a.noEntry, a.timestamp = true, true }), onlyTime, ""},
			"SHA-256 on P-384":          {with(func(a *act) { a.curve, a.noEntry, a.timestamp = elliptic.P384(), true, true }), onlyTime, ""},
			"expired since":             {with(func(a *act) { a.from, a.logged = old, old.Add(time.Minute) }), everything, ""},
			"in the certificate log":    {with(func(a *act) { a.inCTLog = true }), trust{log: true, ct: true}, ""},
			"promised, but nobody asks": {with(func(a *act) { a.inCTLog = true }), everything, ""},

			"not logged, no time":                {with(func(a *act) { a.noEntry = true }), everything, "not enough verified log entries"},
			"not logged, a timestamp":            {with(func(a *act) { a.noEntry, a.timestamp = true, true }), everything, "not enough verified log entries"},
			"no timestamp":                       {with(func(a *act) { a.noEntry = true }), onlyTime, "threshold not met for verified signed & log entry integrated timestamps"},
			"logged, but the log is not trusted": {with(func(a *act) {}), onlyTime, "threshold not met"},
			"logged after it expired":            {with(func(a *act) { a.from, a.logged = old, old.Add(time.Hour) }), everything, "outside certificate validity"},
			"logged before it began":             {with(func(a *act) { a.logged = a.from.Add(-time.Minute) }), everything, "outside certificate validity"},
			"timestamp after it expired":         {with(func(a *act) { a.from, a.logged, a.timestamp = old, old.Add(time.Minute), true }), everything, "leaf certificate verification failed"},
			"timestamp alone, after it expired":  {with(func(a *act) { a.from, a.noEntry, a.timestamp = old, true, true }), onlyTime, "leaf certificate verification failed"},
			"the entry of another signature":     {with(func(a *act) { a.entryOf = &stranger }), everything, "transparency log signature does not match"},
			"not in the certificate log":         {with(func(a *act) {}), trust{log: true, ct: true}, "SCT"},
			"about another image":                {with(func(a *act) { a.payload = statement(strings.Repeat("00", 32)) }), everything, "does not match any digest in statement"},
			"another payload":                    {with(func(a *act) { a.spoil = swap }), everything, "could not verify envelope"},
			"the certificate of another signature": {with(func(a *act) {
				a.beside = func(d *done) { d.certificate = w.do(stranger).certificate }
			}), everything, "transparency log certificate does not match"},
			"another time of the entry": {with(func(a *act) {
				a.beside = func(d *done) { d.entry.TransparencyLogEntry().IntegratedTime++ }
			}), everything, "not enough verified log entries"},
			"an entry whose verifier is not PEM": {with(func(a *act) { a.beside = w.nonsense }), everything, "panic: runtime error: invalid memory address"},
			"no signature":                       {with(func(a *act) { a.spoil = func(e *ssldsse.Envelope) { e.Signatures = nil } }), everything, "one signature is required, there are 0"},
			"an empty signature":                 {with(func(a *act) { a.spoil = func(e *ssldsse.Envelope) { e.Signatures[0].Sig = "" } }), everything, "the signature is empty"},
			"two signatures": {with(func(a *act) {
				a.spoil = func(e *ssldsse.Envelope) { e.Signatures = append(e.Signatures, e.Signatures[0]) }
			}), everything, "there are 2"},
		} {
			t.Run(name, func(t *testing.T) {
				if tt.want != "" {
					refused(t, w.verifier(tt.trusts), tt.c, tt.want)
					return
				}
				believed(t, w.verifier(tt.trusts), tt.c)
			})
		}
	})
}

// Two sigstores do not know each other. Each part of the one is refused by a root that names that of the other.
func TestAnotherRoot(t *testing.T) {
	forms(t, func(t *testing.T, w *world, store func(done) attest.Candidate) {
		a := w.now()
		a.timestamp, a.inCTLog = true, true
		c := store(w.do(a))
		for name, tt := range map[string]struct {
			swap   func(mine, other *world)
			trusts trust
			want   string
		}{
			"all of it":             {func(mine, other *world) { *mine = *other }, everything, "not enough verified log entries"},
			"certificate authority": {func(mine, other *world) { mine.root, mine.key = other.root, other.key }, everything, "leaf certificate verification failed"},
			"log":                   {func(mine, other *world) { mine.logs = other.logs }, trust{log: true}, "not enough verified log entries"},
			"timestamp authority":   {func(mine, other *world) { mine.logs = other.logs }, trust{time: true}, "threshold not met"},
			"certificate log":       {func(mine, other *world) { mine.ctKey = other.ctKey }, trust{log: true, ct: true}, "SCT"},
		} {
			t.Run(name, func(t *testing.T) {
				mixed := *w
				tt.swap(&mixed, newWorld(t))
				refused(t, mixed.verifier(tt.trusts), c, tt.want)
			})
		}
	})
}

// Annotations and bundles come from anybody.
func TestIdentityReadsAnything(t *testing.T) {
	w := newWorld(t)
	a := w.now()
	a.timestamp = true
	v := w.verifier(everything)
	good := w.inLayer(w.do(a))
	believed(t, v, good)
	annotated := func(key, value string) attest.Candidate {
		c := good
		c.Annotations = map[string]string{}
		for k, v := range good.Annotations {
			c.Annotations[k] = v
		}
		if c.Annotations["dev.sigstore.cosign/"+key] = value; value == "" {
			delete(c.Annotations, "dev.sigstore.cosign/"+key)
		}
		return c
	}
	cert, entry := good.Annotations["dev.sigstore.cosign/certificate"], good.Annotations["dev.sigstore.cosign/bundle"]
	withBody := func(body string) attest.Candidate {
		var e object
		w.check(json.Unmarshal([]byte(entry), &e))
		e["Payload"].(object)["body"] = base64.StdEncoding.EncodeToString([]byte(body))
		return annotated("bundle", w.encode(e))
	}
	inBundle := w.inBundle(w.do(a))
	bundled := func(old, new string) attest.Candidate {
		c := inBundle
		if !bytes.Contains(c.Bytes, []byte(old)) {
			t.Fatalf("the bundle has no %s", old)
		}
		c.Bytes = bytes.Replace(c.Bytes, []byte(old), []byte(new), 1)
		return c
	}
	for name, tt := range map[string]struct {
		c     attest.Candidate
		want  string
		field string // that is wrong
	}{
		"no certificate":                 {annotated("certificate", ""), "it is not signed by identity", "dev.sigstore.cosign/certificate"},
		"a certificate that is none":     {annotated("certificate", "garbage"), "attest: dev.sigstore.cosign/certificate: ", "dev.sigstore.cosign/certificate"},
		"two certificates":               {annotated("certificate", cert+cert), "one certificate is required, there are 2", "dev.sigstore.cosign/certificate"},
		"an entry that is none":          {annotated("bundle", "garbage"), "attest: dev.sigstore.cosign/bundle: ", "dev.sigstore.cosign/bundle"},
		"an entry of nothing":            {annotated("bundle", "{}"), "attest: dev.sigstore.cosign/bundle: ", "dev.sigstore.cosign/bundle"},
		"a body that is no text":         {annotated("bundle", `{"Payload":{"body":{}}}`), "attest: dev.sigstore.cosign/bundle: ", "dev.sigstore.cosign/bundle"},
		"a body that is no base64":       {annotated("bundle", `{"Payload":{"body":"?"}}`), "illegal base64", "dev.sigstore.cosign/bundle"},
		"a log that is no hex":           {annotated("bundle", strings.Replace(entry, `"logID":"`, `"logID":"?`, 1)), "encoding/hex", "dev.sigstore.cosign/bundle"},
		"a key given twice":              {annotated("bundle", strings.Replace(entry, `"logIndex":`, `"logIndex":1,"logIndex":`, 1)), "given twice", "dev.sigstore.cosign/bundle"},
		"another index":                  {annotated("bundle", strings.Replace(entry, `"logIndex":0`, `"logIndex":1`, 1)), "not enough verified log entries", ""},
		"body null":                      {withBody("null"), "attest: dev.sigstore.cosign/bundle: ", "dev.sigstore.cosign/bundle"},
		"body of an unknown kind":        {withBody(`{"kind":"x","apiVersion":"0.0.1","spec":{}}`), "attest: dev.sigstore.cosign/bundle: ", "dev.sigstore.cosign/bundle"},
		"body without a spec":            {withBody(`{"kind":"dsse","apiVersion":"0.0.1","spec":{}}`), "dev.sigstore.cosign/bundle: ", "dev.sigstore.cosign/bundle"},
		"a timestamp that is none":       {annotated("rfc3161timestamp", "garbage"), "attest: dev.sigstore.cosign/rfc3161timestamp: ", "dev.sigstore.cosign/rfc3161timestamp"},
		"a timestamp of nothing":         {annotated("rfc3161timestamp", "{}"), "no timestamp", "dev.sigstore.cosign/rfc3161timestamp"},
		"a bundle without what it needs": {bundled(`"verificationMaterial"`, `"other"`), "bundle: ", ""},
		"a bundle of the future":         {bundled(`bundle.v0.3+json"`, `bundle.v0.9+json"`), "bundle: ", ""},
		"a certificate of garbage":       {bundled(`"rawBytes":"`, `"rawBytes":"AAAA`), "certificate", ""},
		"a bundle with a key":            {attest.Candidate{Image: image(t), MediaType: intoto.BundleType, Bytes: bundle(good.Bytes)}, "log entries", ""},
		"nothing":                        {attest.Candidate{Image: image(t), MediaType: intoto.EnvelopeType}, "unexpected EOF", ""},
		"a statement that nobody signed": {attest.Candidate{Image: image(t), MediaType: intoto.PayloadType, Bytes: statement(imageHex)}, "nobody signed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, v, tt.c, tt.want)
			if tt.field == "" {
				return
			}
			var wrong *intoto.FieldError
			if _, _, err := v.Verify(context.Background(), tt.c); !errors.As(err, &wrong) || wrong.Field != tt.field {
				t.Errorf("got %#v, want field %s", err, tt.field)
			}
		})
	}
	// A timestamp that does not verify is no time, and the log's is enough.
	believed(t, v, annotated("rfc3161timestamp", `{"SignedRFC3161Timestamp":"AAAA"}`))
}

// Every log entry and timestamp is work before any of them counts. The two ways to spell a key of a bundle count alike.
func TestTooManyProofs(t *testing.T) {
	w := newWorld(t)
	a := w.now()
	a.timestamp = true
	good, v := w.inBundle(w.do(a)), w.verifier(everything)
	believed(t, v, good)
	with := func(n int, key, spelled string) attest.Candidate {
		var b object
		w.check(json.Unmarshal(good.Bytes, &b))
		at := b["verificationMaterial"].(object)
		if key == "rfc3161Timestamps" {
			at = at["timestampVerificationData"].(object)
		}
		one := at[key].([]any)[0]
		delete(at, key)
		at[spelled] = slices.Repeat([]any{one}, n)
		c := good
		c.Bytes = []byte(w.encode(b))
		return c
	}
	for _, tt := range []struct{ what, key, spelled string }{
		{"log entries", "tlogEntries", "tlogEntries"},
		{"log entries", "tlogEntries", "tlog_entries"},
		{"timestamps", "rfc3161Timestamps", "rfc3161Timestamps"},
		{"timestamps", "rfc3161Timestamps", "rfc3161_timestamps"},
	} {
		for n, want := range map[int]*intoto.LimitError{32: nil, 33: {What: tt.what, Limit: 32, Got: 33}} {
			_, _, err := v.Verify(context.Background(), with(n, tt.key, tt.spelled))
			var got *intoto.LimitError
			errors.As(err, &got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d of %s (-want +got):\n%s\n%v", n, tt.spelled, diff, err)
			}
		}
	}
}

func TestIdentityStopsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := w.verifier(everything).Verify(ctx, w.inBundle(w.do(w.now()))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestIdentitiesThatCannotBeLoaded(t *testing.T) {
	w := newWorld(t)
	good := w.trustedRoot(everything)
	me := []cosign.Identity{{Subject: subject, Issuer: issuer}}
	for name, tt := range map[string]struct {
		root []byte
		who  []cosign.Identity
		want []string
	}{
		"nobody":                 {good, nil, []string{"identities"}},
		"no root, nobody":        {nil, nil, []string{"trustedRoot", "identities"}},
		"an empty identity":      {good, []cosign.Identity{{}}, []string{"identities[0].subject", "identities[0].issuer"}},
		"no issuer":              {good, []cosign.Identity{me[0], {Subject: subject}}, []string{"identities[1].issuer"}},
		"no subject":             {good, []cosign.Identity{{IssuerRegexp: ".*"}}, []string{"identities[0].subject"}},
		"both":                   {good, []cosign.Identity{{Subject: subject, SubjectRegexp: ".*", Issuer: issuer}}, []string{"identities[0].subject"}},
		"bad expressions":        {good, []cosign.Identity{{SubjectRegexp: "(", IssuerRegexp: "a)|(b"}}, []string{"identities[0].subjectRegexp", "identities[0].issuerRegexp"}},
		"an unended quotation":   {good, []cosign.Identity{{SubjectRegexp: `\Qa`, Issuer: issuer}}, []string{"identities[0].subjectRegexp"}},
		"a root of nothing":      {[]byte("{}"), me, []string{"trustedRoot"}},
		"a root that names none": {[]byte(`{"mediaType":"` + root.TrustedRootMediaType01 + `"}`), me, []string{"trustedRoot.certificateAuthorities", "trustedRoot.tlogs"}},
		"a root without a clock": {w.trustedRoot(trust{ct: true}), me, []string{"trustedRoot.tlogs"}},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := cosign.LoadIdentityVerifier(tt.root, tt.who...)
			if v != nil {
				t.Error("it is loaded all the same")
			}
			if diff := cmp.Diff(tt.want, fields(err)); diff != "" {
				t.Errorf("fields (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

// fields returns the fields of all mistakes in an error, in their order.
func fields(err error) []string {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range many.Unwrap() {
			all = append(all, fields(e)...)
		}
		return all
	}
	var field *intoto.FieldError
	if !errors.As(err, &field) {
		return nil
	}
	return []string{field.Field}
}

// Stock cosign, as a library, believes the layers and bundles that we believe, so both take the annotations alike.
func TestStockCosignBelievesTheSame(t *testing.T) {
	w := newWorld(t)
	logged, old := w.now(), w.now()
	old.from = w.rooted.Add(-2 * time.Hour)
	old.logged = old.from.Add(time.Minute)
	stamped, promised := w.now(), w.now()
	stamped.timestamp, stamped.noEntry = true, true
	promised.inCTLog = true
	for name, tt := range map[string]struct {
		act    act
		trusts trust
	}{
		"logged":                 {logged, trust{log: true}},
		"expired since":          {old, trust{log: true}},
		"a timestamp":            {stamped, trust{time: true}},
		"in the certificate log": {promised, trust{log: true, ct: true}},
	} {
		t.Run(name, func(t *testing.T) {
			material, err := root.NewTrustedRootFromJSON(w.trustedRoot(tt.trusts))
			w.check(err)
			opts := &sigstore.CheckOpts{
				TrustedMaterial: material, Identities: []sigstore.Identity{{Subject: subject, Issuer: issuer}}, ClaimVerifier: sigstore.IntotoSubjectClaimVerifier,
				Offline: true, IgnoreTlog: !tt.trusts.log, UseSignedTimestamps: tt.trusts.time, IgnoreSCT: !tt.trusts.ct,
			}
			d := w.do(tt.act)
			l, b := w.inLayer(d), w.inBundle(d)
			believed(t, w.verifier(tt.trusts), l)
			believed(t, w.verifier(tt.trusts), b)

			if _, err := sigstore.VerifyBlobAttestation(context.Background(), stockLayer(t, l), v1.Hash{Algorithm: "sha256", Hex: imageHex}, opts); err != nil {
				t.Errorf("layer: %v", err)
			}
			var parsed sgbundle.Bundle
			w.check(parsed.UnmarshalJSON(b.Bytes))
			digest, err := hex.DecodeString(imageHex)
			w.check(err)
			if _, err := sigstore.VerifyNewBundle(context.Background(), opts, verify.WithArtifactDigest("sha256", digest), &parsed); err != nil {
				t.Errorf("bundle: %v", err)
			}
		})
	}
}

// stockLayer is a layer as cosign has it after it has read one from a registry.
func stockLayer(t *testing.T, c attest.Candidate) oci.Signature {
	t.Helper()
	opts := []static.Option{static.WithLayerMediaType(intoto.EnvelopeType), static.WithCertChain(
		[]byte(c.Annotations["dev.sigstore.cosign/certificate"]), []byte(c.Annotations["dev.sigstore.cosign/chain"]))}
	if text, ok := c.Annotations["dev.sigstore.cosign/bundle"]; ok {
		var b rekorbundle.RekorBundle
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			t.Fatal(err)
		}
		opts = append(opts, static.WithBundle(&b))
	}
	if text, ok := c.Annotations["dev.sigstore.cosign/rfc3161timestamp"]; ok {
		var ts rekorbundle.RFC3161Timestamp
		if err := json.Unmarshal([]byte(text), &ts); err != nil {
			t.Fatal(err)
		}
		opts = append(opts, static.WithRFC3161Timestamp(&ts))
	}
	s, err := static.NewAttestation(c.Bytes, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A tester signs by identity, and keeps what it signed.
type tester struct {
	w    *world
	made done
}

func (s *tester) Sign(_ context.Context, _ string, payload []byte) ([]byte, error) {
	a := s.w.now()
	a.payload = payload
	s.made = s.w.do(a)
	return s.made.stored, nil
}

func (s *tester) SignBundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	if _, err := s.Sign(ctx, payloadType, payload); err != nil {
		return nil, err
	}
	return s.w.inBundle(s.made).Bytes, nil
}

// A Resolver finds what was signed by identity: a bundle, and what cosign attest writes to the .att tag.
func TestResolverBelievesIdentities(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	s := &tester{w: w}
	p := intoto.TestResult{Result: intoto.Passed, Timestamp: w.rooted}
	write := func(f intoto.Encoding) name.Digest {
		t.Helper()
		d := newImage(t, true)
		_, err := attest.NewWriter(s, attest.Options{Encoding: f}).Write(ctx, d, "scan", p)
		w.check(err)
		return d
	}
	problem := func(d name.Digest, who cosign.Identity) error {
		t.Helper()
		e, err := attest.NewResolver(w.verifier(everything, who), attest.Options{}).Newest(ctx, d, intoto.Test{Name: "scan", PredicateType: intoto.TestResultType})
		w.check(err)
		return e.Problem
	}
	attached := func() name.Digest {
		t.Helper()
		d := newImage(t, true)
		se, err := ociremote.SignedEntity(d)
		w.check(err)
		se, err = mutate.AttachAttestationToEntity(se, stockLayer(t, w.inLayer(s.made)))
		w.check(err)
		w.check(ociremote.WriteAttestations(d.Repository, se))
		return d
	}
	// An envelope alone has no certificate beside it. That its writer could add none is why identities need a bundle.
	if err := problem(write(intoto.EncodingEnvelope), cosign.Identity{Subject: subject, Issuer: issuer}); err == nil || !strings.Contains(err.Error(), "it is not signed by identity") {
		t.Errorf("an envelope alone: %v", err)
	}
	for f, d := range map[string]name.Digest{"layer": attached(), "bundle": write(intoto.EncodingBundle)} {
		if err := problem(d, cosign.Identity{Subject: subject, Issuer: issuer}); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if err := problem(d, cosign.Identity{Subject: "somebody@example.com", Issuer: issuer}); err == nil || !strings.Contains(err.Error(), "no matching CertificateIdentity") {
			t.Errorf("%s, of somebody else: %v", f, err)
		}
	}
}

// A bundle of the public sigstore, made in 2023 about a package of npm, passes everything with the root of the public
// sigstore, up to its subject, which is no image.
func TestPublicSigstore(t *testing.T) {
	public := published(t, "trusted-roots/public-good.json")
	b := published(t, "bundles/sigstore.js@2.0.0-provenance.sigstore.json")
	c := attest.Candidate{Image: image(t), MediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1", Bytes: b}
	who := cosign.Identity{SubjectRegexp: `https://github\.com/sigstore/sigstore-js/.*`, Issuer: "https://token.actions.githubusercontent.com"}
	v, err := cosign.LoadIdentityVerifier(public, who)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, v, c, "provided artifact digests does not match digests in statement")
	refused(t, newWorld(t).verifier(everything, who), c, "not enough verified log entries")
}

// published reads a file of sigstore-go's tests. The package around the files is not imported: it would bring a library
// for tests along.
func published(t *testing.T, file string) []byte {
	t.Helper()
	p, err := build.Import("github.com/sigstore/sigstore-go/pkg/testing/data", ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(p.Dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
