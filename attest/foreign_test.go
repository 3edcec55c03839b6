package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"pgregory.net/rapid"

	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

const spdxType = "https://spdx.dev/Document"

// spdx writes the predicate of an SBOM, 27 values in about 730 bytes for each package.
func spdx(w io.Writer, packages int) {
	one := fmt.Sprintf(`{"SPDXID":"SPDXRef-Package-00001","name":"package-00001","versionInfo":"1.00001.0","supplier":"NOASSERTION",
		"downloadLocation":"https://example.com/package-00001.tar.gz","filesAnalyzed":false,"licenseConcluded":"Apache-2.0",
		"checksums":[{"algorithm":"SHA256","checksumValue":"%s"}],"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER",
		"referenceType":"purl","referenceLocator":"pkg:rpm/redhat/package-00001@1.00001.0?arch=x86_64"},
		{"referenceCategory":"SECURITY","referenceType":"a","referenceLocator":"b"},{"referenceCategory":"SECURITY","referenceType":"a","referenceLocator":"b"}],
		"copyrightText":"NOASSERTION","comment":"%s"},`, strings.Repeat("ab", 32), strings.Repeat("x", 30))
	hundred := []byte(strings.Repeat(one, 100))
	_, _ = io.WriteString(w, `{"spdxVersion":"SPDX-2.3","packages":[`)
	for range packages / 100 {
		_, _ = w.Write(hundred)
	}
	_, _ = io.WriteString(w, `{}]}`)
}

// foreignStatement writes an SBOM about a subject. Its predicate comes before its type, as in text whose keys are sorted.
func foreignStatement(w io.Writer, subject string, packages int) {
	_, _ = io.WriteString(w, `{"_type":"https://in-toto.io/Statement/v0.1","predicate":`)
	spdx(w, packages)
	fmt.Fprintf(w, `,"predicateType":%q,"subject":[{"name":"app","digest":{"sha256":%q}}]}`, spdxType, subject)
}

// foreignEnvelope writes the same as an envelope.
func foreignEnvelope(w io.Writer, subject string, packages int) {
	_, _ = io.WriteString(w, `{"payload":"`)
	encoder := base64.NewEncoder(base64.StdEncoding, w)
	foreignStatement(encoder, subject, packages)
	_ = encoder.Close()
	fmt.Fprintf(w, `","payloadType":%q,"signatures":[{"sig":"AAAA"}]}`, intoto.PayloadType)
}

// envelopeOf is an envelope with a signature that no key made.
func envelopeOf(payload []byte) []byte {
	return fmt.Appendf(nil, `{"payloadType":%q,"payload":%q,"signatures":[]}`, intoto.PayloadType, base64.StdEncoding.EncodeToString(payload))
}

// bundleOf is a sigstore bundle around an envelope.
func bundleOf(envelope []byte) []byte {
	return fmt.Appendf(nil, `{"mediaType":%q,"verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":%s}`, intoto.BundleType, envelope)
}

// attachAs puts a layer at the image that nothing says anything about.
func (w *world) attachAs(media string, b []byte) v1.Hash {
	return w.attach(b, func(m *v1.Manifest) {
		m.ArtifactType, m.Annotations = "", nil
		m.Layers[0].MediaType, m.Layers[0].Annotations, m.Layers[0].Data = types.MediaType(media), nil, nil
	})
}

// An SBOM of 12,000 packages beside the evidence, in any form and with any verifier, changes no answer.
func TestLargeSBOMBesideEvidence(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		k := newKey(t, "k")
		failed := w.unsigned("clamav-scan", outcome(intoto.Failed, 0))
		w.write(k, "scan", outcome(intoto.Passed, 0))
		var statement, envelope bytes.Buffer
		foreignStatement(&statement, w.hash().Hex, 12000)
		foreignEnvelope(&envelope, w.hash().Hex, 12000)
		t.Logf("a statement of %d bytes, an envelope of %d", statement.Len(), envelope.Len())
		w.attachAs(intoto.PayloadType, statement.Bytes())
		w.attachAs(intoto.EnvelopeType, envelope.Bytes())
		w.attachAs(intoto.BundleType, bundleOf(envelope.Bytes()))
		w.provenances(k, failed.Digest, provenanceFor(t, failed.Digest, 0), statement.Bytes())
		unproven := w.unsigned("unproven", outcome(intoto.Passed, 0))
		w.provenances(k, unproven.Digest, statement.Bytes())
		if got := answerOf(w.newest(byChains(t, k), testResultOf("unproven"))); !strings.Contains(got, "no provenance is attached") {
			t.Errorf("an SBOM is taken for a provenance that cannot be read: %s", got)
		}
		for name, ask := range map[string]struct {
			v    Verifier
			test string
			want string
		}{
			"key":        {k, "scan", "PASSED at 2026-03-01T12:00:00Z by predicate, completeness unproven"},
			"provenance": {byChains(t, k), "clamav-scan", "FAILED at 2026-03-01T12:00:00Z by provenance, completeness unproven"},
		} {
			if got := answerOf(w.newest(ask.v, testResultOf(ask.test))); got != ask.want {
				t.Errorf("%s: got %s", name, got)
			}
		}
		if all := w.all(AnyOf(k, byChains(t, k))); len(all) != 3 {
			t.Errorf("%d statements are evidence", len(all))
		}
	})
}

// serveGenerated attaches a layer that write makes anew for each request.
func (w *world) serveGenerated(media string, write func(io.Writer)) (size int64) {
	w.T.Helper()
	sum, count := sha256.New(), &counter{}
	write(io.MultiWriter(sum, count))
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	w.attach([]byte("{}"), func(m *v1.Manifest) {
		m.ArtifactType, m.Annotations = "", nil
		m.Layers[0] = v1.Descriptor{MediaType: types.MediaType(media), Digest: digest, Size: count.n}
	})
	w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/blobs/"+digest.String()) {
			return false
		}
		write(rw)
		return true
	})
	return count.n
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// An SBOM of 64 MiB passes through, and is never held.
func TestForeignStatementsAreNotHeld(t *testing.T) {
	for media, write := range map[string]func(io.Writer, string, int){intoto.PayloadType: foreignStatement, intoto.EnvelopeType: foreignEnvelope} {
		w := newWorld(t, true)
		k := newKey(t, "k")
		w.write(k, "scan", outcome(intoto.Passed, 0))
		size := w.serveGenerated(media, func(to io.Writer) { write(to, w.hash().Hex, 92000) })
		if size < 64*mib {
			t.Fatalf("only %d bytes", size)
		}
		before := allocated()
		if e := w.mustNewest(k, testResultOf("scan")); e.Result != intoto.Passed {
			t.Error(answerOf(e, nil))
		}
		used := allocated() - before
		t.Logf("%s: %d bytes, %d allocated by reader and registry", media, size, used)
		if used > 8*mib {
			t.Errorf("%d bytes were allocated to pass over %d", used, size)
		}
	}
}

// allocated is how much has ever been allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// What is passed over, and what blocks: another reader must not see another predicate type.
func TestForeignStatements(t *testing.T) {
	const (
		begin   = `{"_type":"https://in-toto.io/Statement/v1",`
		foreign = `"predicateType":"https://spdx.dev/Document"`
		own     = `"predicateType":"https://in-toto.io/attestation/test-result/v0.1"`
	)
	enveloped := func(payload string) string { return string(envelopeOf([]byte(payload))) }
	wrapped := enveloped(begin + foreign + `,"predicate":{}}`)
	payload := base64.StdEncoding.EncodeToString([]byte(begin + foreign + `,"predicate":{}}`))
	for _, tt := range []struct {
		name, media, body string
		want              string // empty if it is passed over
	}{
		{"plain", intoto.PayloadType, begin + foreign + `,"predicate":{}}`, ""},
		{"type last", intoto.PayloadType, begin + `"predicate":{},` + foreign + `}`, ""},
		{"type first", intoto.PayloadType, `{` + foreign + `,"predicate":{},"_type":"https://in-toto.io/Statement/v1"}`, ""},
		{"no predicate", intoto.PayloadType, begin + foreign + `}`, ""},
		{"other fields", intoto.PayloadType, begin + `"other":[{}],` + foreign + `}`, ""},
		{"keys given twice inside", intoto.PayloadType, begin + foreign + `,"predicate":{"a":1,"a":2,"A":3,"predicateType":1,"predicateType":2}}`, ""},
		{"deep", intoto.PayloadType, begin + foreign + `,"predicate":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, ""},
		{"many values", intoto.PayloadType, begin + foreign + `,"predicate":[` + strings.Repeat("0,", 300000) + `0]}`, ""},
		{"many subjects", intoto.PayloadType, begin + foreign + `,"subject":[` + strings.Repeat("{},", 300000) + `{}]}`, ""},
		{"not UTF-8 inside", intoto.PayloadType, begin + foreign + ",\"predicate\":\"\xff\"}", ""},
		{"escaped", intoto.PayloadType, begin + `"predicat\u0065Type":"https:\/\/spdx.dev\/Document"}`, ""},
		{"in an envelope", intoto.EnvelopeType, wrapped, ""},
		{"payload first", intoto.EnvelopeType, `{"payload":"` + payload + `","payloadType":"application/vnd.in-toto+json"}`, ""},
		{"payload escaped", intoto.EnvelopeType, `{"payload":"\u0065` + payload[1:] + `","payloadType":"application/vnd.in-toto+json"}`, ""},
		{"in a bundle", intoto.BundleType, `{"a":{"b":1,"b":2},"dsseEnvelope":` + wrapped + `}`, ""},
		{"another payload type", intoto.EnvelopeType, `{"payload":"AAAA","payloadType":"text/plain"}`, ""},
		{"a bundle that signs a message", intoto.BundleType, `{"messageSignature":{}}`, ""},

		{"two types", intoto.PayloadType, begin + foreign + `,` + own + `}`, `"predicateType" in $: given twice`},
		{"two types, the other way round", intoto.PayloadType, begin + own + `,` + foreign + `}`, `"predicateType" in $: given twice`},
		{"two types, one escaped", intoto.PayloadType, begin + foreign + `,` + strings.Replace(own, "T", `\u0054`, 1) + `}`, "given twice"},
		{"two types, one behind much", intoto.PayloadType, begin + foreign + `,"predicate":[` + strings.Repeat(`"",`, 300000) + `0],` + own + `}`, "over the limit"},
		{"another case", intoto.PayloadType, begin + foreign + `,"PredicateType":"https://in-toto.io/attestation/test-result/v0.1"}`, "in case only"},
		{"a long s", intoto.PayloadType, begin + foreign + `,"ſubject":[]}`, "in case only"},
		{"two predicates", intoto.PayloadType, begin + foreign + `,"predicate":{},"predicate":{}}`, "given twice"},
		{"any key twice", intoto.PayloadType, begin + foreign + `,"x":{},"x":{}}`, "given twice"},
		{"no type", intoto.PayloadType, begin + `"predicate":{}}`, "predicateType: required"},
		{"type that is no text", intoto.PayloadType, begin + `"predicateType":7}`, "predicateType"},
		{"no statement", intoto.PayloadType, `{"_type":"x",` + foreign + `}`, "not an in-toto statement"},
		{"two statements", intoto.PayloadType, begin + foreign + `}` + begin + own + `}`, "more than one JSON value"},
		{"cut", intoto.PayloadType, begin + foreign + `,"predicate":{}`, "unexpected EOF"},
		{"not UTF-8 in a key", intoto.PayloadType, begin + foreign + ",\"predicateTyp\xff\":1}", "UTF-8"},
		{"empty", intoto.PayloadType, "", "unexpected EOF"},
		{"two payloads", intoto.EnvelopeType, strings.Replace(wrapped, `"signatures"`, `"payload":"","signatures"`, 1), "given twice"},
		{"a payload in another case", intoto.EnvelopeType, strings.Replace(wrapped, `"signatures"`, `"Payload":"","signatures"`, 1), "in case only"},
		{"two payload types", intoto.EnvelopeType, strings.Replace(wrapped, `"signatures"`, `"payloadType":"text/plain","signatures"`, 1), "given twice"},
		{"a payload with a line end", intoto.EnvelopeType, strings.Replace(wrapped, payload, payload[:8]+`\n`+payload[8:], 1), "not standard base64"},
		{"a payload with a tail", intoto.EnvelopeType, strings.Replace(wrapped, payload, payload+"AAAA", 1), "more than one JSON value"},
		{"no payload", intoto.EnvelopeType, `{"payloadType":"application/vnd.in-toto+json","signatures":[]}`, "unexpected EOF"},
		{"a payload type of in-toto that is none", intoto.EnvelopeType, strings.Replace(wrapped, "in-toto+json", "in-toto.x+json", 1), `is not "application/vnd.in-toto+json"`},
		{"two envelopes", intoto.BundleType, `{"dsseEnvelope":` + wrapped + `,"dsseEnvelope":` + enveloped(begin+own+`}`) + `}`, "given twice"},
		{"an envelope in another case", intoto.BundleType, `{"dsseEnvelope":` + wrapped + `,"DSSEEnvelope":{}}`, "in case only"},
		{"neither", intoto.BundleType, `{}`, "dsseEnvelope: required"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, true)
			k := newKey(t, "k")
			w.write(k, "scan", outcome(intoto.Passed, 0))
			w.attachAs(tt.media, []byte(tt.body))
			got := answerOf(w.newest(k, testResultOf("scan")))
			switch passed := strings.HasPrefix(got, "PASSED"); {
			case passed != (tt.want == ""):
				t.Errorf("got %.300s", got)
			case !strings.Contains(got, tt.want):
				t.Errorf("got %.300s\nwant %s", got, tt.want)
			}
		})
	}
}

// Evidence is bounded as before, other statements by limits of their own.
func TestLimitsOfForeignStatements(t *testing.T) {
	big := strings.Repeat(" ", 2000)
	foreign := `{"_type":"https://in-toto.io/Statement/v1",` + `"predicate":"` + big + `","predicateType":"https://spdx.dev/Document"}`
	own := strings.Replace(foreign, "https://spdx.dev/Document", intoto.TestResultType, 1)
	for _, tt := range []struct {
		name, body string
		limits     Limits
		want       string // LimitError.What; empty if it is passed over
		call       bool   // the limit is on the call
	}{
		{"over EnvelopeBytes", foreign, Limits{EnvelopeBytes: 1000}, "", false},
		{"over StatementBytes", foreign, Limits{StatementBytes: 1000}, "", false},
		{"ours over EnvelopeBytes", own, Limits{EnvelopeBytes: 1000}, registry.WhatEnvelope, false},
		{"ours over StatementBytes", own, Limits{StatementBytes: 1000}, "statement bytes", false},
		{"at ForeignBytes", foreign, Limits{ForeignBytes: int64(len(foreign))}, "", false},
		{"over ForeignBytes", foreign, Limits{ForeignBytes: int64(len(foreign)) - 1}, "foreign bytes", false},
		{"over TotalForeignBytes", foreign, Limits{TotalForeignBytes: int64(len(foreign)) - 1}, registry.WhatPassed, true},
		{"at TotalForeignBytes", foreign, Limits{TotalForeignBytes: int64(len(foreign))}, "", false},
		{"values", foreign, Limits{Values: 100}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, true)
			k := newKey(t, "k")
			w.opts.WithoutViews = true
			w.write(k, "scan", outcome(intoto.Passed, 0))
			w.attachAs(intoto.PayloadType, []byte(tt.body))
			w.opts.Limits = tt.limits
			_, err := w.newest(k, testResultOf("scan"))
			var limit *intoto.LimitError
			if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &limit) || limit.What != tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if blocked := new(CandidateError); tt.want != "" && errors.As(err, &blocked) == tt.call {
				t.Errorf("it is told as a limit on the other thing: %v", err)
			}
		})
	}
}

// Bytes that are passed over do not use up those of the evidence, however many statements are read at once.
func TestForeignBytesAreCountedApart(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, 0))
	for i := range 20 {
		var b bytes.Buffer
		foreignStatement(&b, w.hash().Hex, 100*(10+i))
		w.attachAs(intoto.PayloadType, b.Bytes())
	}
	w.opts.Limits.TotalBytes = 20 * mib // of 27 MiB
	w.opts.Parallel = 4
	if e, err := w.newest(k, testResultOf("scan")); err != nil || e.Result != intoto.Passed {
		t.Error(answerOf(e, err))
	}
}

// BenchmarkOuterType passes over an SBOM of 64 MiB.
func BenchmarkOuterType(b *testing.B) {
	for media, write := range map[string]func(io.Writer, string, int){intoto.PayloadType: foreignStatement, intoto.EnvelopeType: foreignEnvelope} {
		b.Run(media, func(b *testing.B) {
			var body bytes.Buffer
			write(&body, strings.Repeat("ab", 32), 92000)
			b.SetBytes(int64(body.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if got, err := intoto.OuterType(bytes.NewReader(body.Bytes()), media, func(string) {}); err != nil || got != spdxType {
					b.Fatal(got, err)
				}
			}
		})
	}
}

// A foreign statement whose bytes break off is asked for again, and one with another digest blocks.
func TestForeignStatementsAreChecked(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, 0))
	body := []byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://spdx.dev/Document","predicate":"` + strings.Repeat("x", 9*mib) + `"}`)
	w.attachAs(intoto.PayloadType, body)
	asked := 0
	blob := "/blobs/" + registry.Describe(body, "").Digest.String()
	w.Breaks(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, blob) {
			return false
		}
		if asked++; asked > 2 {
			return false
		}
		rw.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = rw.Write(body[:len(body)/(2*asked)])
		return true
	})
	if e, err := w.newest(k, testResultOf("scan")); err != nil || e.Result != intoto.Passed || asked != 3 {
		t.Errorf("asked %d times: %s", asked, answerOf(e, err))
	}
	other := bytes.Replace(body, []byte("xxx"), []byte("xyx"), 1)
	for want, answer := range map[string]string{"with digest": string(other), "longer than": string(body) + " ", "bytes with": string(body[:len(body)-1])} {
		w.Serves(blob, "", answer)
		if e, err := w.newest(k, testResultOf("scan")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s: %s", want, answerOf(e, err))
		}
	}
}

// Where a strict reader reads a statement, the outer reading has the same predicate type; and what it passes over a strict
// reader does not read as evidence.
func TestOuterReadingAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		types := rapid.SampledFrom([]string{spdxType, intoto.TestResultType, ""})
		key := rapid.SampledFrom([]string{"_type", "subject", "predicateType", "predicate", "PredicateType", "x", `predicat\u0065`})
		value := rapid.SampledFrom([]string{`{}`, `[]`, `1`, `"a"`, `null`, `{"predicateType":"x"}`, `"\\\"]}"`, `["}","\\\\",{"]":"\u005c\""}]`, `[{"digest":{"sha256":"` + strings.Repeat("ab", 32) + `"}}]`})
		members := []string{
			`"_type":"` + rapid.SampledFrom([]string{intoto.StatementType, "https://in-toto.io/Statement/v0.1", "x"}).Draw(t, "_type") + `"`,
			fmt.Sprintf(`"predicateType":%q`, types.Draw(t, "predicateType")),
			`"subject":[{"digest":{"sha256":"` + strings.Repeat("ab", 32) + `"}}]`,
			`"predicate":` + value.Draw(t, "predicate"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			members = append(members, fmt.Sprintf(`"%s":%s`, key.Draw(t, "key"), value.Draw(t, "value")))
		}
		text := "{" + strings.Join(rapid.Permutation(members).Draw(t, "members"), ",") + "}" + rapid.SampledFrom([]string{"", " ", "}", "1"}).Draw(t, "tail")
		body, media := []byte(text), intoto.PayloadType
		switch rapid.SampledFrom([]string{intoto.PayloadType, intoto.EnvelopeType, intoto.BundleType}).Draw(t, "form") {
		case intoto.EnvelopeType:
			body, media = envelopeOf(body), intoto.EnvelopeType
		case intoto.BundleType:
			body, media = bundleOf(envelopeOf(body)), intoto.BundleType
		}
		got, gotErr := intoto.OuterType(bytes.NewReader(body), media, func(string) {})
		payload, err := Candidate{MediaType: media, Bytes: body}.Payload()
		var want *intoto.Statement
		if err == nil {
			want, err = intoto.ParseStatement(payload)
		}
		switch {
		case err == nil && (gotErr != nil || got != want.PredicateType):
			t.Fatalf("%s\ngot %q, %v, want %q", body, got, gotErr, want.PredicateType)
		case gotErr == nil && !intoto.IsEvidence(got) && err == nil && intoto.IsEvidence(want.PredicateType):
			t.Fatalf("%s\nis passed over as %q", body, got)
		}
	})
}
