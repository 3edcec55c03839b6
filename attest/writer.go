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

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/referrers"
	"github.com/testdag/testdag/attest/internal/registry"
	"github.com/testdag/testdag/attest/intoto"
)

// A Writer signs statements about images and stores them beside the images. It is safe for concurrent use.
type Writer struct {
	signer    intoto.Signer
	registry  *registry.Registry
	opts      Options
	immutable sync.Once // tags were found to be
}

// NewWriter returns a Writer that signs with s. With [intoto.EncodingStatement] nobody signs, and s is not used and may be
// nil.
func NewWriter(s intoto.Signer, opts Options) *Writer {
	opts = opts.withDefaults()
	return &Writer{signer: s, registry: registry.New(opts.Access, transport.PushScope), opts: opts}
}

// Write states that test had the outcome p on image, signs that, and stores it in the image's repository as a manifest
// of its own whose subject is the image, in the form that Options.Encoding says. When it returns without an error the
// record has been read back, it is in two lists (see Writing in the package's documentation for the exceptions), and
// cosign's tag shows or names it. The name of the test is written into the predicate, see [intoto.Test].
//
// Writing the same statement again leaves one record, if the first Write has returned no error, the Options are equal,
// and the Signer can tell its own signature (see [intoto.Signer]) or signs alike each time, or nobody signs. Otherwise
// there may be two records of it, which count as one. It is signed again all the same, before the registry is asked for
// it.
//
// Errors: [*intoto.FieldError] for what the predicate or an argument lacks, all at once; [Future], since no [Resolver]
// would believe it; [ErrNoImage]; [*RegistryError]; [*intoto.LimitError]; what the Signer returns. A Record that is not
// zero is stored, whatever the error. A [*ViewError] says that a [Resolver] finds it, and only other tools do not see
// it yet; if it is Immutable they never will, and to write again changes nothing. After any other error a reader may
// not find the record, or find it in one list only: write again.
func (w *Writer) Write(ctx context.Context, image name.Digest, test string, p intoto.Predicate) (Record, error) {
	payload, err := encode(image, test, p)
	if err = errors.Join(err, w.check()); err != nil {
		return Record{}, err
	}
	opts := w.opts
	if now := opts.Now(); p.When().After(now.Add(opts.Skew)) {
		return Record{}, &Problem{Kind: Future, Time: p.When(), Now: now, Within: opts.Skew}
	}
	ctx, done := registry.Within(ctx, registry.WhatCall, opts.Limits.CallTime)
	defer done()
	repo, err := w.open(ctx, image)
	if err != nil {
		return Record{}, err
	}
	d := referrers.Draft{Image: image, Test: test, PredicateType: p.PredicateType(), Created: p.When(), Payload: payload}
	pub := repo.Publication(image, referrers.Memory{}, !opts.WithoutViews)
	l, err := w.record(ctx, pub, d)
	if err == nil {
		_, err = pub.Run(ctx, l)
	}
	return pub.Record, w.told(image, err)
}

// open connects to the repository of image.
func (w *Writer) open(ctx context.Context, image name.Digest) (*referrers.Records, error) {
	return referrers.Open(ctx, w.registry, image.Context(), referrers.Layout{Encoding: w.opts.Encoding, InlineBytes: w.opts.InlineBytes, WithoutViews: w.opts.WithoutViews})
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
// Errors: [*intoto.FieldError], [ErrNoImage], [*RegistryError], [*intoto.LimitError], [*ViewError].
func (w *Writer) Repair(ctx context.Context, image name.Digest) error {
	if err := checkImage(image); err != nil {
		return err
	}
	ctx, done := registry.Within(ctx, registry.WhatCall, w.opts.Limits.CallTime)
	defer done()
	repo, err := w.open(ctx, image)
	if err != nil {
		return err
	}
	repo.ReplaceViews = w.opts.ReplaceViews
	if _, err := repo.ImageManifest(ctx, image); err != nil {
		return err
	}
	l, err := repo.List(ctx, image)
	if err != nil {
		return err
	}
	_, err = repo.Publication(image, referrers.Memory{}, true).Run(ctx, l)
	return w.told(image, err)
}

// check says what is wrong with how the Writer was made.
func (w *Writer) check() error {
	var c fault.Checklist
	opts := w.opts
	opts.check(&c)
	_, bundles := w.signer.(intoto.BundleSigner)
	switch {
	case opts.Encoding == intoto.EncodingStatement || !opts.Encoding.Valid():
	case w.signer == nil:
		c.Add("signer", "required; only intoto.EncodingStatement does without")
	case opts.Encoding == intoto.EncodingBundle && !bundles:
		c.Add("signer", fmt.Sprintf("%T is not an intoto.BundleSigner", w.signer))
	}
	return errors.Join(c...)
}

// record gives p the record of a statement, written before or now. It returns what was listed just before. The
// statement is signed and uploaded first, so that little time is between a look at a view and its rebuilding.
func (w *Writer) record(ctx context.Context, p *referrers.Publication, d referrers.Draft) (l referrers.Listing, err error) {
	if d.Subject, err = p.Subject(ctx, d.Image); err != nil {
		return referrers.Listing{}, err
	}
	if d.Stored, err = w.sign(ctx, p.Encoding, d.Payload); err != nil {
		return referrers.Listing{}, err
	}
	manifest, err := referrers.BuildRecord(d, p.Layout, p.Options.Limits.ManifestBytes, d.Stored)
	if err != nil {
		return referrers.Listing{}, err
	}
	if err := p.Upload(ctx, d.Stored); err != nil {
		return referrers.Listing{}, err
	}
	// The index is read when it is rebuilt, and tags are when they are looked at; before that find needs them alone.
	which := referrers.Lists{Referrers: true, View: true, Index: !p.Views || p.Encoding == intoto.EncodingBundle, Tags: !p.Views}
	if l, err = p.Read(ctx, d.Image, referrers.Listing{}, which); err != nil {
		return referrers.Listing{}, err
	}
	var found bool
	if p.Record, found, err = w.find(ctx, p.Records, d, l, p.Known); err != nil || found {
		p.Configured = true
		return l, err
	}
	return l, p.Add(ctx, d, l, referrers.NewRecord(p.Name, manifest))
}

// checkImage refuses a digest that no statement here is about.
func checkImage(image name.Digest) error {
	if image == (name.Digest{}) {
		return &intoto.FieldError{Field: "image", Problem: "required"}
	}
	if h, err := v1.NewHash(image.DigestStr()); err != nil || h.Algorithm != "sha256" {
		return &intoto.FieldError{Field: "image", Problem: fmt.Sprintf("%q is not a SHA-256 digest", image.DigestStr())}
	}
	return nil
}

// NewStatement returns what [Writer.Write] states with the same arguments, as json.Marshal spells it. It asks no
// registry.
//
// Errors: [*intoto.FieldError] for what the predicate or an argument lacks, all at once.
func NewStatement(image name.Digest, test string, p intoto.Predicate) (*intoto.Statement, error) {
	if v := reflect.ValueOf(p); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, &intoto.FieldError{Field: "predicate", Problem: "required"}
	}
	var c fault.Checklist
	c.TestName("test", test)
	if err := errors.Join(errors.Join(c...), checkImage(image)); err != nil {
		return nil, err
	}
	p, err := p.Named(test)
	if err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	predicate, err := json.Marshal(p)
	if err != nil {
		return nil, fault.Wrap("predicate", err)
	}
	s := &intoto.Statement{
		Type:          intoto.StatementType,
		Subject:       []intoto.ResourceDescriptor{{Name: image.Context().Name(), Digest: map[string]string{"sha256": hexOf(image)}}},
		PredicateType: p.PredicateType(),
		Predicate:     predicate,
	}
	return s, readable(s, registry.DefaultLimits)
}

// readable returns why a Resolver would not read the statement: it is too large. What nobody can read must not be
// written.
func readable(s *intoto.Statement, limits Limits) error {
	if got := int64(len(s.Predicate)); got > limits.StatementBytes {
		return &intoto.LimitError{What: "statement bytes", Limit: limits.StatementBytes, Got: got}
	}
	return intoto.ReadPredicate(s.PredicateType, s.Predicate, registry.JSON(limits)).Problem
}

// encode makes the statement's bytes. Equal arguments give equal bytes.
func encode(image name.Digest, test string, p intoto.Predicate) ([]byte, error) {
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
func (w *Writer) find(ctx context.Context, repo *referrers.Records, d referrers.Draft, l referrers.Listing, known referrers.Memory) (Record, bool, error) {
	form := w.opts.Encoding
	v, ok := w.signer.(Verifier)
	if !ok || form == intoto.EncodingStatement {
		return Record{}, false, nil
	}
	layers, err := repo.MayHold(ctx, d, l, known)
	if err != nil {
		return Record{}, false, err
	}
	for _, layer := range layers {
		stored, err := repo.Content(ctx, layer)
		if err != nil {
			continue
		}
		own, err := referrers.BuildRecord(d, repo.Layout, repo.Options.Limits.ManifestBytes, stored)
		if err != nil {
			continue
		}
		record := referrers.NewRecord(repo.Name, own)
		c := Candidate{Image: d.Image, Manifest: record.Digest, MediaType: string(form.MediaType()), Bytes: stored}
		if _, err := verify(ctx, v, c, d.Payload); err != nil {
			continue
		}
		entries, err := repo.Entries(ctx, []string{record.Digest.String()}, known)
		if err != nil {
			return Record{}, false, err
		}
		if len(entries) == 1 && entries[0].Err == nil {
			w.opts.Logger.Debug("statement is already recorded", zap.Stringer("manifest", record.Digest))
			return record, true, nil
		}
	}
	return Record{}, false, nil
}

// sign returns the statement in a form that a reader will accept, whatever the signer makes.
func (w *Writer) sign(ctx context.Context, form intoto.Encoding, payload []byte) ([]byte, error) {
	limits := w.opts.Limits
	stored, err := w.wrap(ctx, form, payload)
	if err != nil {
		return nil, fault.Wrap("sign", registry.Overtime(ctx, err))
	}
	signed, err := Candidate{MediaType: string(form.MediaType()), Bytes: stored}.payload(limits)
	if err != nil {
		return nil, fault.Wrap("sign", err)
	}
	if !bytes.Equal(signed, payload) {
		return nil, fault.Wrap("sign", errors.New("the envelope holds another payload"))
	}
	if got := int64(len(stored)); got > limits.EnvelopeBytes {
		return nil, &intoto.LimitError{What: registry.WhatEnvelope, Limit: limits.EnvelopeBytes, Got: got}
	}
	return stored, nil
}

func (w *Writer) wrap(ctx context.Context, form intoto.Encoding, payload []byte) ([]byte, error) {
	switch form {
	case intoto.EncodingStatement:
		return payload, nil
	case intoto.EncodingBundle:
		return w.signer.(intoto.BundleSigner).SignBundle(ctx, intoto.PayloadType, payload)
	}
	return w.signer.Sign(ctx, intoto.PayloadType, payload)
}
