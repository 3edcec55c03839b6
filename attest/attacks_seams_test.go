package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
	"github.com/testdag/testdag/attest/provenance"
	"github.com/testdag/testdag/internal/testname"
)

// artifact makes an attack of a failure that no annotation names, in a layer of a media type of its own, as oras attach
// writes one without a type. The artifact type, or that of the config in its place, says that it is a statement.
func artifact(artifactType, config, media, answer string) attack {
	return attack{
		name: fmt.Sprintf("a failure in a layer of type %q, in an artifact of type %q, its config of type %q",
			media, artifactType, config),
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.attach(w.sign(ours, w.statementOf(intoto.TestResultType, failedAs)), func(m *v1.Manifest) {
				m.ArtifactType, m.Config.MediaType = artifactType, types.MediaType(config)
				m.Layers[0].MediaType = types.MediaType(media)
				m.Annotations, m.Layers[0].Annotations = nil, nil
			})
		},
		answer: answer,
	}
}

// ofSubject makes an attack of a failure whose subject spells the algorithm of its digest in a way of its own.
func ofSubject(algorithm, answer string) attack {
	return attack{
		name: fmt.Sprintf("a failure of a subject with a digest by %q", algorithm),
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			payload := replaced(w.T, w.statementOf(intoto.TestResultType, failedAs), "sha256", algorithm)
			w.attach(w.sign(ours, payload), nil)
		},
		answer: answer,
	}
}

// madeBy is a run of a task for ten minutes until noon plus end, which named a record.
func madeBy(name string, record v1.Hash, end time.Duration) []byte {
	return pipelineRun(record, 0, pipelineTask{name: name, from: end - 10*time.Minute, to: end, record: record})
}

// namedTwice makes attacks of a failure that calls itself another test and that two trusted tasks of one end have named,
// in both orders.
func namedTwice(name, answer string, first, second pipelineTask) []attack {
	var all []attack
	for _, order := range []string{"in order", "in reverse"} {
		all = append(all, attack{
			name: name + ", " + order,
			do: func(w *world, ours, _ *key) {
				passedBefore(w, ours)
				failed := w.unsigned("another", outcome(intoto.Failed, 0))
				first.record, second.record = failed.Digest, failed.Digest
				runs := [][]byte{pipelineRun(failed.Digest, 0, first), pipelineRun(failed.Digest, 0, second)}
				if order == "in reverse" {
					slices.Reverse(runs)
				}
				w.provenances(ours, failed.Digest, runs...)
			},
			ask:    byKeyOrProvenance,
			answer: answer,
		})
	}
	return all
}

// untrusted makes an attack of a failure that calls itself another test. A rule is about the task that made it; the task of
// an older pass is trusted.
func untrusted(name string, rule provenance.TaskRule) attack {
	return attack{
		name: name,
		do: func(w *world, ours, _ *key) {
			w.scanned(ours, intoto.Passed, -time.Hour, -time.Hour)
			failed := w.unsigned("another", outcome(intoto.Failed, 0))
			payload := replaced(w.T, madeBy("scan", failed.Digest, 0), strings.Repeat("ab", 32), strings.Repeat("cd", 32))
			w.provenance(ours, failed.Digest, payload)
		},
		ask: func(w *world, r *Resolver) *Resolver {
			good := provenance.TaskRule{Pattern: chains.Tasks[0].Pattern, Digest: "sha256:" + strings.Repeat("ab", 32)}
			v, err := ByProvenance(r.verifier.(*key), provenance.Trust{Builders: chains.Builders, Tasks: []provenance.TaskRule{good, rule}})
			if err != nil {
				w.T.Fatal(err)
			}
			return NewResolver(v, w.opts)
		},
		answer: `a statement that calls itself "another" was made by the task "scan"`,
	}
}

// withinASecond writes a pass that a key vouches for, 0.4 s after eleven, and a failure that ended later in that second, by a
// provenance, which does not tell fractions.
func withinASecond(w *world, ours *key) (passed, failed Record) {
	passed = w.write(ours, "scan", outcome(intoto.Passed, -time.Hour+400*time.Millisecond))
	failed = w.unsigned("scan", outcome(intoto.Failed, -time.Hour+600*time.Millisecond))
	w.provenance(ours, failed.Digest, madeBy("scan", failed.Digest, -time.Hour))
	return passed, failed
}

// certified is a key that vouches for what has its certificate beside it, as an identity does.
type certified struct{ *key }

const certificate = "dev.sigstore.cosign/certificate"

func (c certified) Verify(ctx context.Context, found Candidate) ([]byte, Identity, error) {
	if found.Annotations[certificate] != c.name {
		return nil, Identity{}, errors.New("no certificate")
	}
	return c.key.Verify(ctx, found)
}

// copiedBare writes a pass and a newer failure into cosign's tag alone, each with a certificate, and pushes a copy of the
// failure that lacks it, before the tag and in it.
func copiedBare(w *world, ours, _ *key) {
	var layers []v1.Descriptor
	passed := w.sign(ours, replaced(w.T, w.statementOf(intoto.TestResultType, failedBadly), "FAILED", "PASSED"))
	failed := w.sign(ours, w.statementOf(intoto.TestResultType, failedAs))
	for _, envelope := range [][]byte{passed, failed} {
		w.stock(envelope)
		l := registry.Describe(envelope, intoto.EnvelopeType)
		l.Annotations = map[string]string{annotationSignature: "", certificate: ours.name}
		layers = append(layers, l)
	}
	w.showOnly(append([]v1.Descriptor{registry.Describe(failed, intoto.EnvelopeType)}, layers...)...)
	w.attachAs(intoto.EnvelopeType, failed)
}

func byCertificate(w *world, r *Resolver) *Resolver {
	return NewResolver(certified{r.verifier.(*key)}, w.opts)
}

const passedAtEleven = "PASSED at 2026-03-01T11:00:00Z by predicate"

// seamAttacks are made where two rules meet.
var seamAttacks = slices.Concat([]attack{
	artifact(intoto.EnvelopeType, registry.EmptyConfigType, "application/vnd.oci.image.layer.v1.tar", "layers: none holds a statement"),
	artifact(intoto.BundleType, registry.EmptyConfigType, "application/octet-stream", "layers: none holds a statement"),
	artifact("", intoto.PayloadType, "application/octet-stream", "layers: none holds a statement"),
	artifact("", intoto.EnvelopeType, "application/json", "layers: none holds a statement"),
	artifact("", intoto.BundleType, "application/json", "layers: none holds a statement"),
	// What is no statement by any of its types blocks nothing: a chart, a signature, another manifest's artifact type.
	artifact("", "application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", passedAtEleven),
	artifact("application/vnd.cncf.notary.signature", registry.EmptyConfigType, "application/jose+json", passedAtEleven),
	artifact("application/spdx+json", intoto.PayloadType, "application/spdx+json", passedAtEleven),

	ofSubject("SHA256", `subject[0].digest.SHA256: another spelling of "sha256"`),
	ofSubject("sha-256", `subject[0].digest.sha-256: another spelling of "sha256"`),
	ofSubject("Sha2-256", `subject[0].digest.Sha2-256: another spelling of "sha256"`),
	ofSubject("sha\u200b256", `another spelling of "sha256"`),
	ofSubject("sha3_256", passedAtEleven),
	ofSubject("gitCommit", passedAtEleven),
	{
		name: "a failure that ended later in the second of a pass, by a clock of whole seconds",
		do:   func(w *world, ours, _ *key) { withinASecond(w, ours) },
		ask:  byKeyOrProvenance,

		answer: "FAILED at 2026-03-01T11:00:00Z by provenance, 2 tied",
	}, {
		name: "a failure of the second before, by a clock of whole seconds",
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", outcome(intoto.Passed, -time.Hour+400*time.Millisecond))
			w.scanned(ours, intoto.Failed, -time.Hour-time.Second, 0)
		},
		ask:    byKeyOrProvenance,
		answer: "PASSED at 2026-03-01T11:00:00.4Z by predicate, completeness unproven",
	}, {
		name: "a failure of the second of a newer one, older than a pass in it",
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", outcome(intoto.Failed, -time.Hour+200*time.Millisecond))
			w.write(ours, "scan", outcome(intoto.Passed, -time.Hour+400*time.Millisecond))
			w.scanned(ours, intoto.Passed, -time.Hour, 0)
		},
		ask:    byKeyOrProvenance,
		answer: ", 2 tied, completeness unproven",
	}, {
		name: "a pass of the second of a failure that is newer, and a forged pass newer still, unverified ones ignored",
		do: func(w *world, ours, theirs *key) {
			w.opts.UnsafeIgnoreUnverified = true
			w.write(ours, "scan", outcome(intoto.Failed, -time.Hour+400*time.Millisecond))
			w.scanned(ours, intoto.Passed, -time.Hour, 0)
			w.write(theirs, "scan", outcome(intoto.Passed, -time.Hour+900*time.Millisecond))
		},
		ask:    byKeyOrProvenance,
		answer: "FAILED at 2026-03-01T11:00:00.4Z by predicate, 2 tied",
	}, {
		name: "a later version that a trusted provenance shows to be of the same second",
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", outcome(intoto.Passed, -time.Hour+400*time.Millisecond))
			w.later(ours, "scan", failedAs, -time.Hour)
		},
		ask:    byKeyOrProvenance,
		answer: notRead(version2),
	}, {
		name: "a later version without a test that a trusted provenance shows to be of the same second",
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", outcome(intoto.Passed, -time.Hour+400*time.Millisecond))
			w.later(ours, "", `{}`, -time.Hour)
		},
		ask:    byKeyOrProvenance,
		answer: "it does not say which test it is of",
	}, {
		name: "a failure deleted that ended in the second of a pass, once a checkpoint has seen both",
		do: func(w *world, ours, _ *key) {
			w.opts.Checkpoint = inDir(w)
			_, failed := withinASecond(w, ours)
			r := byKeyOrProvenance(w, NewResolver(ours, w.opts))
			for range 2 { // that the mark is later than the failure is no contradiction
				e, err := r.Newest(context.Background(), w.Image, testResultOf("scan"))
				if err != nil || e.Problem != nil || e.Result != intoto.Failed {
					w.T.Errorf("at first: %s", answerOf(e, err))
				}
			}
			w.remove(failed)
			w.write(ours, "scan", outcome(intoto.Passed, -time.Hour+400*time.Millisecond))
		},
		ask:    byKeyOrProvenance,
		answer: "evidence of 2026-03-01T11:00:00.4Z was seen before and is gone",
	}, {
		name: "evidence of a second in which a checkpoint has seen older one, that is gone",
		do: func(w *world, ours, _ *key) {
			w.opts.Checkpoint = inDir(w)
			older := w.write(ours, "scan", outcome(intoto.Failed, -time.Hour+200*time.Millisecond))
			w.mustNewest(ours, testResultOf("scan"))
			w.remove(older)
			withinASecond(w, ours)
		},
		ask:    byKeyOrProvenance,
		answer: "FAILED at 2026-03-01T11:00:00Z by provenance, 2 tied",
	}, {
		name: "a pass whose maker has no times, and that gives a time after a task that named it",
		do: func(w *world, ours, _ *key) {
			w.scanned(ours, intoto.Failed, -2*time.Hour, -2*time.Hour)
			passed := w.unsigned("scan", outcome(intoto.Passed, -time.Minute))
			w.provenances(ours, passed.Digest,
				madeBy("scan", passed.Digest, -3*time.Hour), madeBy("scan", passed.Digest, -4*time.Hour),
				pipelineRun(passed.Digest, 0, pipelineTask{name: "scan", timeless: true, record: passed.Digest}))
		},
		ask:    byProvenanceOnly,
		answer: "time 2026-03-01T11:59:00Z is later than 2026-03-01T08:00:00Z, when a task that named it had ended, and a skew of 5m0s",
	}, {
		name: "a pass whose maker has no times, named before by a task that is not trusted",
		do: func(w *world, ours, _ *key) {
			passed := w.unsigned("scan", outcome(intoto.Passed, -time.Minute))
			w.provenances(ours, passed.Digest,
				replaced(w.T, madeBy("scan", passed.Digest, -4*time.Hour), "quay.io/konflux-ci/", "quay.io/mallory/"),
				pipelineRun(passed.Digest, 0, pipelineTask{name: "scan", timeless: true, record: passed.Digest}))
		},
		ask:    byProvenanceOnly,
		answer: "PASSED at 2026-03-01T11:59:00Z by predicate",
	}, {
		name: "a failure as a later version without a test, handed on by a trusted task of another test",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.later(ours, "summary", `{}`, 0)
		},
		ask:    byKeyOrProvenance,
		answer: notRead(version2),
	}, {
		name: "a later version without a test, handed on by a trusted task of another test before",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			w.later(ours, "summary", `{}`, -2*time.Hour)
		},
		ask:    byKeyOrProvenance,
		answer: "PASSED at 2026-03-01T11:00:00Z by predicate",
	}, {
		name: "a failure with a key in another case, handed on by a trusted task of another test",
		do: func(w *world, ours, _ *key) {
			passedBefore(w, ours)
			payload := replaced(w.T, w.statementOf(intoto.TestResultType, failedAs), "timestamp", "Timestamp")
			failed := w.attach(w.sign(ours, payload), nil)
			w.provenance(ours, failed, madeBy("summary", failed, 0))
		},
		ask:    byKeyOrProvenance,
		answer: `key "Timestamp" in $: differs from "timestamp" in case only`,
	},
	untrusted("a failure of another name by a task that is not trusted any more", provenance.TaskRule{
		Pattern: chains.Tasks[0].Pattern, Digest: "sha256:" + strings.Repeat("cd", 32), ExpiresOn: attesttest.Noon.Add(-time.Second),
	}),
	untrusted("a failure of another name by a task that is denied by now", provenance.TaskRule{
		Pattern: chains.Tasks[0].Pattern, Digest: "sha256:" + strings.Repeat("cd", 32), Deny: true,
	}),
	{
		name: "a failure in cosign's tag, and a copy without its certificate",
		do:   copiedBare, ask: byCertificate,
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	}, {
		name: "a failure in cosign's tag, and a copy without its certificate, unverified ones ignored",
		do: func(w *world, ours, theirs *key) {
			w.opts.UnsafeIgnoreUnverified = true
			copiedBare(w, ours, theirs)
		},
		ask:    byCertificate,
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	},
},
	namedTwice("a failure that a task of another test named too, in the second in which its own ended",
		`FAILED at 2026-03-01T12:00:00Z by provenance, declared "another"`,
		pipelineTask{name: "scan", from: -10 * time.Minute}, pipelineTask{name: "summary", from: 0}),
	namedTwice("a failure that two tasks without times named", `"another"`,
		pipelineTask{name: "scan", timeless: true}, pipelineTask{name: "summary", timeless: true}),
)

// Evidence that is tied within a second is as new as the newest of it: neither has been passed over for the other.
func TestExpectWithinASecond(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	passed := w.write(k, "scan", outcome(intoto.Passed, -time.Hour+400*time.Millisecond))
	worse := w.unsigned("scan", intoto.TestResult{Result: intoto.Warned, Timestamp: attesttest.Noon.Add(-time.Hour)})
	w.provenance(k, worse.Digest, madeBy("scan", worse.Digest, -time.Hour))
	both := Expect{Test: "scan", Records: []v1.Hash{passed.Digest, worse.Digest}}
	r := byKeyOrProvenance(w, NewResolver(k, w.opts)).Expecting(both)
	e, err := r.Newest(t.Context(), w.Image, testResultOf("scan"))
	if err != nil || e.Problem != nil || e.Result != intoto.Warned || len(e.Tied) != 2 {
		t.Errorf("got %s", answerOf(e, err))
	}
}

// Runs of tests that are not asked for cost nothing and block nothing, whatever they left.
func TestExpectOfOtherTestsReadsNothing(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	w.write(k, "scan", outcome(intoto.Passed, 0))
	lint := w.write(k, "lint", outcome(intoto.Passed, 0))
	w.Answers(404, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/"+lint.Digest.String()) })
	r := NewResolver(k, w.opts).Expecting(Expect{Test: "lint", Records: []v1.Hash{lint.Digest}})
	w.Requests = nil
	if e, err := r.Newest(t.Context(), w.Image, testResultOf("scan")); err != nil || e.Problem != nil || e.Result != intoto.Passed {
		t.Errorf("got %s", answerOf(e, err))
	}
	if n := w.Count(http.MethodGet, lint.Digest.String()); n > 0 {
		t.Errorf("%d requests for the record of lint", n)
	}
	_, err := r.Newest(t.Context(), w.Image, testResultOf("lint"))
	attesttest.As[*CandidateError](t, err)
}

// An index lists what a runtime may run. An annotation alone does not take an image out of it.
func TestPlatformsThatAnAnnotationHides(t *testing.T) {
	const hidden = `"annotations":{"vnd.docker.reference.type":"attestation-manifest"}`
	w := newWorld(t, true)
	for platform, want := range map[string]int{
		`"platform":{"os":"unknown","architecture":"unknown"},`:                0,
		`"platform":{"os":"linux","architecture":"amd64"},`:                    1,
		`"platform":{"os":"unknown","architecture":"amd64"},`:                  1,
		`"platform":{"os":"unknown","architecture":"unknown","variant":"v8"},`: 1,
		``: 1,
	} {
		b := fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"digest":%q,%s%s}]}`, w.hash(), platform, hidden)
		digest := registry.Describe(b, "").Digest.String()
		w.Retag(digest, types.OCIImageIndex, b)
		got, err := NewResolver(newKey(t, "k"), w.opts).Platforms(t.Context(), w.Image.Context().Digest(digest))
		if err != nil || len(got) != want {
			t.Errorf("%s: %v, %v", platform, got, err)
		}
	}
}

// As many tests as there may be, whose names all look like one another, are told apart in one call.
func TestManyTestsThatLookAlike(t *testing.T) {
	var all []Evidence
	for i := range registry.DefaultLimits.Statements {
		letters := strings.NewReplacer("0", "a", "1", "\u0430").Replace(fmt.Sprintf("%012b", i))
		all = append(all, Evidence{Test: testResultOf(letters + strings.Repeat("\u0430", 240))})
	}
	names := testNames(all)
	for _, e := range all {
		if n := len(names.Alike(e.Test.Name)); n != len(all)-1 {
			t.Fatalf("%d names are like %q", n, e.Test.Name)
		}
	}
	want := []string{"sc\u0430n"}
	if diff := cmp.Diff(want, testname.NewIndex([]string{"scan", want[0], "scan", want[0], "lint"}).Alike("scan")); diff != "" {
		t.Error(diff)
	}
}

// A statement without a time is not said to be outside of the run that made it.
func TestNoTimeIsOutsideOfNoRun(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	failed := w.attach(w.sign(k, w.statementOf(intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"scan"}]}`)), nil)
	w.provenance(k, failed, madeBy("scan", failed, 0))
	e := w.mustNewest(byChains(t, k), testResultOf("scan"))
	attesttest.Field(t, e.Problem, "timestamp")
	if errors.Is(e.Problem, Mistimed) || e.Clock != ClockProvenance {
		t.Errorf("got %v by %s", e.Problem, e.Clock)
	}
}

// Asked for every test, a Resolver also answers for those that statements only say they are of.
func TestNewestsOfDeclaredTests(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	failed := w.unsigned("another", outcome(intoto.Failed, 0))
	w.provenance(k, failed.Digest, madeBy("scan", failed.Digest, 0))
	all, err := NewResolver(byChains(t, k), w.opts).NewestAll(t.Context(), w.Image)
	if err != nil || len(all) != 2 || all[1].Problem != nil || all[1].Result != intoto.Failed {
		t.Fatalf("got %+v, %v", all, err)
	}
	if n := wantProblem(t, Misnamed, all[0].Problem); n.Declared != "another" || n.Task != "scan" {
		t.Errorf("got %v", n)
	}
	w.opts.UnsafeIgnoreUnverified = true
	if all, err := NewResolver(byChains(t, k), w.opts).NewestAll(t.Context(), w.Image); err != nil || len(all) != 2 {
		t.Errorf("ignoring: %+v, %v", all, err)
	}
}

// A record of another test that cannot be read is no matter of a test, asked for alone or together with the other.
func TestUnreadableOfAnotherTest(t *testing.T) {
	for name, spoil := range map[string]func(w *world, lint Record) string{
		"its manifest gone":  func(_ *world, lint Record) string { return "/manifests/" + lint.Digest.String() },
		"its statement gone": func(_ *world, lint Record) string { return "/blobs/" + statementIn(lint).Digest.String() },
	} {
		t.Run(name, func(t *testing.T) {
			eachRegistry(t, func(t *testing.T, w *world) {
				k := newKey(t, "k")
				w.opts.InlineBytes = -1
				w.write(k, "scan", outcome(intoto.Passed, 0))
				path := spoil(w, w.write(k, "lint", outcome(intoto.Passed, 0)))
				w.Answers(http.StatusNotFound, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, path) })
				scan, lint := testResultOf("scan"), testResultOf("lint")
				var answers []string
				for _, tests := range [][]intoto.Test{{scan}, {scan, lint}, {lint, scan}, nil} {
					all, err := NewResolver(k, w.opts).NewestAll(t.Context(), w.Image, tests...)
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range all {
						if e.Test == scan {
							answers = append(answers, answerOf(e, nil))
						}
						if e.Test == lint {
							attesttest.As[*CandidateError](t, e.Problem)
						}
					}
				}
				if len(answers) != 4 || len(slices.Compact(answers)) != 1 || w.Referrers != strings.HasPrefix(answers[0], "PASSED") {
					t.Errorf("got %q", answers)
				}
				v := AnyOf(k, byChains(t, k)) // does not believe annotations
				if e, err := w.newest(v, scan); err == nil {
					t.Errorf("annotations are believed: %s", answerOf(e, err))
				}
			})
		})
	}
}

// statementIn returns the layer of a record.
func statementIn(r Record) v1.Descriptor {
	var m v1.Manifest
	_ = json.Unmarshal(r.Bytes, &m) // a Writer made it
	return m.Layers[0]
}

// Which provenance tells of the evidence is no matter of the order in which they were found.
func TestOrderOfProvenanceDecidesNothing(t *testing.T) {
	var all []signedProvenance
	for i := range 4 {
		task := provenance.Task{Name: fmt.Sprint(i), Started: attesttest.Noon.Add(time.Duration(i/2) * time.Second), Finished: attesttest.Noon.Add(time.Hour)}
		all = append(all, signedProvenance{task: task, payload: [32]byte{byte(i % 2)}})
	}
	for range len(all) {
		all = append(all[1:], all[0])
		e := Evidence{envelopes: []Candidate{{provenance: all[:1]}, {provenance: all[1:]}}}
		if p, ok := e.bestProvenance(); !ok || p.task.Name != "0" {
			t.Errorf("got that of task %s", p.task.Name)
		}
	}
}

// A provenance that is wrong in two ways says both.
func TestProvenanceThatIsWrongTwice(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	r := w.unsigned("scan", outcome(intoto.Passed, 0))
	run := pipelineRun(r.Digest, 0, pipelineTask{name: "scan", from: -time.Minute})
	w.provenance(k, r.Digest, replaced(t, run, "quay.io/konflux-ci/", "quay.io/mallory/"))
	e := w.mustNewest(byChains(t, k), testResultOf("scan"))
	for _, reason := range []string{"not one of Trust.Tasks", "it does not tell which task made"} {
		if e.Problem == nil || !strings.Contains(e.Problem.Error(), reason) {
			t.Errorf("%q is not in %v", reason, e.Problem)
		}
	}
}

// A tag that should hold the provenance of a record, and holds something else, is told.
func TestProvenanceUnderATagOfSomethingElse(t *testing.T) {
	w := newWorld(t, true)
	k := newKey(t, "k")
	r := w.unsigned("scan", outcome(intoto.Passed, 0))
	tag := viewTag(w.Image.Context().Digest(r.Digest.String()))
	w.Retag(tag, types.OCIImageIndex, []byte(`{"schemaVersion":2,"manifests":[]}`))
	e := w.mustNewest(byChains(t, k), testResultOf("scan"))
	if e.Problem == nil || !strings.Contains(e.Problem.Error(), "tag "+tag+": not an image manifest") {
		t.Errorf("got %v", e.Problem)
	}
}
