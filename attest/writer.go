package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"go.uber.org/zap"
)

// A Writer signs statements about images and stores them beside the images. It is safe for concurrent use.
type Writer struct {
	signer    Signer
	registry  *registry
	opts      Options
	immutable sync.Once // tags were found to be
}

// NewWriter returns a Writer that signs with s. With [FormStatement] nobody signs, and s is not used and may be nil.
func NewWriter(s Signer, opts Options) *Writer {
	opts = opts.withDefaults()
	return &Writer{signer: s, registry: newRegistry(opts.Access, transport.PushScope), opts: opts}
}

// Write states that test had the outcome p on image, signs that, and stores it in the image's repository as a manifest
// of its own whose subject is the image, in the form that Options.Form says. When it returns without an error the
// record has been read back, it is in two lists (see Writing in the package's documentation for the exceptions), and
// cosign's tag shows or names it. The name of the test is written into the predicate, see [Test].
//
// Writing the same statement again leaves one record, if the first Write has returned no error, the Options are equal,
// and the Signer can tell its own signature (see [Signer]) or signs alike each time, or nobody signs. Otherwise there
// may be two records of it, which count as one. It is signed again all the same, before the registry is asked for it.
//
// Errors: [*FieldError] for what the predicate or an argument lacks, all at once; [Future], since no [Resolver]
// would believe it; [ErrNoImage]; [*RegistryError]; [*LimitError]; what the Signer returns. A Record that is not zero
// is stored, whatever the error. A [*ViewError] says that a [Resolver] finds it, and only other tools do not see it
// yet; if it is Immutable they never will, and to write again changes nothing. After any other error a reader may not
// find the record, or find it in one list only: write again.
func (w *Writer) Write(ctx context.Context, image name.Digest, test string, p Predicate) (Record, error) {
	payload, err := encode(image, test, p)
	if err = errors.Join(err, w.check()); err != nil {
		return Record{}, err
	}
	opts := w.opts
	if now := opts.Now(); p.when().After(now.Add(opts.Skew)) {
		return Record{}, &Problem{Kind: Future, Time: p.when(), Now: now, Within: opts.Skew}
	}
	ctx, done := within(ctx, whatCall, opts.Limits.CallTime)
	defer done()
	repo, err := w.open(ctx, image)
	if err != nil {
		return Record{}, err
	}
	d := draft{image: image, test: test, predicateType: p.PredicateType(), created: p.when(), payload: payload}
	pub := repo.publication(image, memory{}, !opts.WithoutViews)
	l, err := w.record(ctx, pub, d)
	if err == nil {
		_, err = pub.run(ctx, l)
	}
	return pub.record, w.told(image, err)
}

// open connects to the repository of image.
func (w *Writer) open(ctx context.Context, image name.Digest) (*records, error) {
	return openRecords(ctx, w.registry, image.Context(), layout{w.opts.Form, w.opts.InlineBytes, w.opts.WithoutViews})
}

// told logs once that tags are immutable, and returns the error.
func (w *Writer) told(image name.Digest, err error) error {
	if view := new(ViewError); errors.As(err, &view) && view.Immutable {
		w.immutable.Do(func() {
			w.opts.Logger.Warn("tags of the repository are immutable: records are safe, and other tools do not see them",
				zap.String("repository", image.Context().Name()), zap.String("tag", view.Tag))
		})
	}
	return err
}

// Repair brings the fallback index and cosign's .att tag up to the record of image. If the index cannot be written,
// each record that only the referrers API lists gets a tag of its own. Each Write does so too: a repair of its own is
// for readers that may write. It mends what a killed writer left, what an earlier release entered into one list only,
// and what a tool undid that rewrites a tag without a look at the record. A .att tag that holds something else is
// refused with a *ViewError, unless Options.ReplaceViews says that it may be replaced.
//
// Errors: [*FieldError], [ErrNoImage], [*RegistryError], [*LimitError], [*ViewError].
func (w *Writer) Repair(ctx context.Context, image name.Digest) error {
	if err := checkImage(image); err != nil {
		return err
	}
	ctx, done := within(ctx, whatCall, w.opts.Limits.CallTime)
	defer done()
	repo, err := w.open(ctx, image)
	if err != nil {
		return err
	}
	repo.replaceViews = w.opts.ReplaceViews
	if _, err := repo.imageManifest(ctx, image); err != nil {
		return err
	}
	l, err := repo.list(ctx, image)
	if err != nil {
		return err
	}
	_, err = repo.publication(image, memory{}, true).run(ctx, l)
	return w.told(image, err)
}

// check says what is wrong with how the Writer was made.
func (w *Writer) check() error {
	var c checklist
	opts := w.opts
	opts.check(&c)
	_, bundles := w.signer.(BundleSigner)
	switch {
	case opts.Form == FormStatement || !opts.Form.valid():
	case w.signer == nil:
		c.add("signer", "required; only FormStatement does without")
	case opts.Form == FormBundle && !bundles:
		c.add("signer", fmt.Sprintf("%T is not a BundleSigner", w.signer))
	}
	return errors.Join(c...)
}

// record gives p the record of a statement, written before or now. It returns what was listed just before. The
// statement is signed and uploaded first, so that little time is between a look at a view and its rebuilding.
func (w *Writer) record(ctx context.Context, p *publication, d draft) (l listing, err error) {
	if d.subject, err = p.subject(ctx, d.image); err != nil {
		return listing{}, err
	}
	if d.stored, err = w.sign(ctx, p.form, d.payload); err != nil {
		return listing{}, err
	}
	manifest, err := buildRecord(d, p.layout, p.opts.Limits.ManifestBytes, d.stored)
	if err != nil {
		return listing{}, err
	}
	if err := p.upload(ctx, d.stored); err != nil {
		return listing{}, err
	}
	// The index is read when it is rebuilt, and tags are when they are looked at; before that find needs them alone.
	which := lists{referrers: true, view: true, index: !p.views || p.form == FormBundle, tags: !p.views}
	if l, err = p.read(ctx, d.image, listing{}, which); err != nil {
		return listing{}, err
	}
	var found bool
	if p.record, found, err = w.find(ctx, p.records, d, l, p.known); err != nil || found {
		p.configured = true
		return l, err
	}
	return l, p.add(ctx, d, l, newRecord(p.name, manifest))
}

// checkImage refuses a digest that no statement here is about.
func checkImage(image name.Digest) error {
	if image == (name.Digest{}) {
		return &FieldError{"image", "required"}
	}
	if h, err := v1.NewHash(image.DigestStr()); err != nil || h.Algorithm != "sha256" {
		return &FieldError{"image", fmt.Sprintf("%q is not a SHA-256 digest", image.DigestStr())}
	}
	return nil
}

// NewStatement returns what [Writer.Write] states with the same arguments, as json.Marshal spells it. It asks no
// registry.
//
// Errors: [*FieldError] for what the predicate or an argument lacks, all at once.
func NewStatement(image name.Digest, test string, p Predicate) (*Statement, error) {
	if v := reflect.ValueOf(p); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, &FieldError{"predicate", "required"}
	}
	var c checklist
	c.testName("test", test)
	if err := errors.Join(errors.Join(c...), checkImage(image)); err != nil {
		return nil, err
	}
	p, err := p.named(test)
	if err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	predicate, err := json.Marshal(p)
	if err != nil {
		return nil, wrap("predicate", err)
	}
	s := &Statement{
		Type:          StatementType,
		Subject:       []ResourceDescriptor{{Name: image.Context().Name(), Digest: map[string]string{"sha256": hexOf(image)}}},
		PredicateType: p.PredicateType(),
		Predicate:     predicate,
	}
	return s, readable(s, defaultLimits)
}

// readable returns why a Resolver would not read the statement: it is too large. What nobody can read must not be
// written.
func readable(s *Statement, limits Limits) error {
	if got := int64(len(s.Predicate)); got > limits.StatementBytes {
		return &LimitError{What: "statement bytes", Limit: limits.StatementBytes, Got: got}
	}
	return readPredicate(s.PredicateType, s.Predicate, limits.json()).problem
}

// encode makes the statement's bytes. Equal arguments give equal bytes.
func encode(image name.Digest, test string, p Predicate) ([]byte, error) {
	s, err := NewStatement(image, test, p)
	if err != nil {
		return nil, err
	}
	return json.Marshal(s)
}

// find returns the record that already holds the statement, if the signer vouches for it and the record is just as it
// would be written. That somebody has put the statement there is not enough: without a good signature it would count
// for nothing, and a manifest may hold more than it says. Of a form without signatures equal statements are equal
// records.
func (w *Writer) find(ctx context.Context, repo *records, d draft, l listing, known memory) (Record, bool, error) {
	form := w.opts.Form
	v, ok := w.signer.(Verifier)
	if !ok || form == FormStatement {
		return Record{}, false, nil
	}
	layers, err := repo.mayHold(ctx, d, l, known)
	if err != nil {
		return Record{}, false, err
	}
	for _, layer := range layers {
		stored, err := repo.content(ctx, layer)
		if err != nil {
			continue
		}
		own, err := buildRecord(d, repo.layout, repo.opts.Limits.ManifestBytes, stored)
		if err != nil {
			continue
		}
		record := newRecord(repo.name, own)
		c := Candidate{Image: d.image, Manifest: record.Digest, MediaType: string(form.mediaType()), Bytes: stored}
		if _, err := verify(ctx, v, c, d.payload); err != nil {
			continue
		}
		entries, err := repo.entries(ctx, []string{record.Digest.String()}, known)
		if err != nil {
			return Record{}, false, err
		}
		if len(entries) == 1 && entries[0].err == nil {
			w.opts.Logger.Debug("statement is already recorded", zap.Stringer("manifest", record.Digest))
			return record, true, nil
		}
	}
	return Record{}, false, nil
}

// sign returns the statement in a form that a reader will accept, whatever the signer makes.
func (w *Writer) sign(ctx context.Context, form Form, payload []byte) ([]byte, error) {
	limits := w.opts.Limits
	stored, err := w.wrap(ctx, form, payload)
	if err != nil {
		return nil, wrap("sign", overtime(ctx, err))
	}
	signed, err := Candidate{MediaType: string(form.mediaType()), Bytes: stored}.payload(limits)
	if err != nil {
		return nil, wrap("sign", err)
	}
	if !bytes.Equal(signed, payload) {
		return nil, wrap("sign", errors.New("the envelope holds another payload"))
	}
	if got := int64(len(stored)); got > limits.EnvelopeBytes {
		return nil, &LimitError{What: whatEnvelope, Limit: limits.EnvelopeBytes, Got: got}
	}
	return stored, nil
}

func (w *Writer) wrap(ctx context.Context, form Form, payload []byte) ([]byte, error) {
	switch form {
	case FormStatement:
		return payload, nil
	case FormBundle:
		return w.signer.(BundleSigner).SignBundle(ctx, PayloadType, payload)
	}
	return w.signer.Sign(ctx, PayloadType, payload)
}
