package referrers

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/testdag/testdag/attest/internal/registry"
)

// maxRounds bounds how often views are rebuilt by one writer. 16 writers at once need two or three.
const maxRounds = 32

// A Publication enters the record of an image into its lists, and into what other tools read.
//
// A view is one object that every writer rewrites, and no registry knows conditional writes, so any write can undo
// another. But no record is lost from a view, however many writers there are. Each keeps to this order:
//
//   - It stores its record where no other writer writes: under its digest, or under a tag of its own. The referrers API
//     and the tags list those. They are the record lists.
//   - Then it puts a view that holds all that the writer has seen, unless the view, as read then, does so already.
//   - Then it looks at the record lists. If they have a record that the view did not hold when the writer last put or
//     read it, the writer reads the view again, and goes on with the step before.
//
// Take the last put of a view, by a writer L, and a record R of another writer W. W has put the view with R in it, or
// read it so. If that was after the put of L, W can only have read, and the view holds R. If it was before, R was
// stored before the put of L, and so before L looked. L saw R in a record list, and has put it: otherwise L would not
// have stopped there. So no writer needs to read a view again just because it has put it.
//
// This needs a registry that lists a record as soon as it has stored it. A writer that does not find its record in a
// list gives it a tag of its own, and takes the views for unread, see missed. It needs writers that keep to the order,
// too: another tool that rewrites a view can undo a put at any time. The next write repairs that.
type Publication struct {
	*Records
	image  name.Digest
	Known  Memory
	Views  bool
	Record Record           // it must be in two lists in the end; zero if there is none
	stored []byte           // blob that holds the statement, if this call has uploaded it
	Tagged map[v1.Hash]bool // records that this call gave a tag of their own

	viewRead   bool // cosign's tag was just read, and need not be read again before it is rebuilt
	viewStale  bool // cosign's tag must be read again, since the record was not listed when it was written
	Configured bool // the config of the record is stored

	attErr, indexErr *ViewError // why a view cannot be written; it is not tried again
	full             *ViewError // cosign's tag is written, and cannot show all that it could if there were fewer
}

// Publication returns a Publication about image. The manifests that known holds are not read again; views says whether
// the tags that all writers share are rewritten.
func (r *Records) Publication(image name.Digest, known Memory, views bool) *Publication {
	return &Publication{Records: r, image: image, Known: known, Views: views, Tagged: map[v1.Hash]bool{}, viewRead: true}
}

// Run publishes what l lists, and p.Record, until nothing is missing. It returns the last list.
func (p *Publication) Run(ctx context.Context, l Listing) (Listing, error) {
	held := p.holds(l)
	if p.Record.Bytes != nil {
		own := parseEntry(registry.Document{Bytes: p.Record.Bytes, Media: types.OCIManifestSchema1, Digest: p.Record.Digest}, p.Options.Limits)
		p.Known[p.Record.Digest.String()], p.Known[RecordTag(p.image, p.Record.Digest)] = own, own
	}
	p.unite(&l)
	rounds := 0
	l, err := registry.Retry(ctx, registry.OneMore(p.Options), isUnlisted, func() (Listing, error) {
		for ; rounds < maxRounds; rounds++ {
			changed, err := p.rebuild(ctx, &l)
			if err != nil {
				return l, err // without a ViewError, which would say that all is well
			}
			if held && !changed {
				return l, p.viewErrors()
			}
			if l, err = p.look(ctx, l); err != nil && held {
				err = &ViewError{Tag: viewTag(p.image), Err: err}
			}
			if err != nil {
				return Listing{}, err
			}
			if held = held || p.holds(l); !held {
				return Listing{}, p.missed(ctx)
			}
		}
		return l, &ViewError{Tag: viewTag(p.image), Err: fmt.Errorf("others rewrote it %d times", maxRounds)}
	})
	if isUnlisted(err) {
		err = p.unlisted()
	}
	return l, registry.Unfinished(ctx, "list records", p.Name.Name(), err)
}

// look reads the record lists. A registry that has said that it has no referrers API is not asked for it again.
func (p *Publication) look(ctx context.Context, l Listing) (Listing, error) {
	again := p.viewStale && p.Views
	l, err := p.Read(ctx, p.image, l, Lists{Referrers: l.Referrers, Tags: true, View: again})
	p.viewRead, p.viewStale = again, false
	p.unite(&l)
	return l, err
}

// unite puts all lists together, and the record, which none may name yet.
func (p *Publication) unite(l *Listing) {
	l.Pointers = l.union(l.View.named)
	if p.Record.Bytes != nil {
		l.Pointers = unionOfPointers(l.Pointers, []Pointer{{Ref: p.Record.Digest.String()}})
	}
}

// errUnlisted says that the registry does not list a record that it has stored.
var errUnlisted = errors.New("the record is stored, but the registry does not list it")

func isUnlisted(err error) bool { return err == errUnlisted }

// missed gives the record a tag of its own. There are registries, and proxies before them, that answer for referrers
// and list none, or list them late.
func (p *Publication) missed(ctx context.Context) error {
	if !p.Tagged[p.Record.Digest] {
		_ = p.tagOwn(ctx) // a failure shows in the next list
	}
	p.viewStale = true
	return errUnlisted
}

func (p *Publication) unlisted() error {
	err := errUnlisted
	if view := p.viewErrors(); view != nil {
		err = fmt.Errorf("%w (%v)", err, view) // not wrapped, since a ViewError would say that all is well
	}
	return &registry.Error{Op: "list records", Ref: p.Ref(p.Record.Digest.String()), Err: err}
}

// holds reports whether the record is in the list that cannot be rewritten: the referrers API, or the tags of single
// records.
func (p *Publication) holds(l Listing) bool {
	digest := p.Record.Digest
	if p.Record.Bytes == nil || slices.ContainsFunc(l.listed,
		func(listed Pointer) bool { return listed.Ref == digest.String() }) {
		return true
	}
	return slices.Contains(l.tags, RecordTag(p.image, digest))
}

func (p *Publication) viewErrors() error {
	if !p.Views {
		return nil
	}
	var errs []error
	for _, err := range []*ViewError{p.attErr, p.full, p.indexErr} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// rebuild adds to each list what it lacks. That one view cannot be written does not keep it from the other. An error
// says that the record is in one list only.
func (p *Publication) rebuild(ctx context.Context, l *Listing) (changed bool, err error) {
	if !p.Views {
		return false, p.secondList(ctx, *l)
	}
	if p.indexErr == nil {
		changed, p.indexErr = p.rebuildIndex(ctx, l)
	}
	if p.attErr == nil {
		var also bool
		also, p.attErr = p.rebuildAtt(ctx, l)
		changed = changed || also
	}
	if l.index && p.indexErr == nil {
		return changed, nil
	}
	if err := p.tagOthers(ctx, *l); p.indexErr == nil {
		p.indexErr = err
	}
	return changed, p.secondList(ctx, *l)
}

// secondList gives the record a tag of its own, in place of an entry in the fallback index.
func (p *Publication) secondList(ctx context.Context, l Listing) error {
	if p.Record.Bytes == nil || p.isTagged(l, p.Record.Digest) {
		return nil
	}
	err := p.tagOwn(ctx)
	if err == nil {
		return nil
	}
	out := &registry.Error{Op: "write manifest", Ref: p.Ref(RecordTag(p.image, p.Record.Digest))}
	var failed *registry.Error
	if errors.As(err, &failed) { // of the same request
		out.Status, err = failed.Status, failed.Err
	}
	out.Err = fmt.Errorf("the record is stored, and is in one list only: %w", err)
	return out
}

func (p *Publication) isTagged(l Listing, digest v1.Hash) bool {
	return p.Tagged[digest] || slices.Contains(l.tags, RecordTag(p.image, digest))
}

func (p *Publication) tagOwn(ctx context.Context) error {
	return p.tag(ctx, p.Known[p.Record.Digest.String()])
}

// tag gives a record a tag of its own. A tag that leads there already may be refused, where tags are immutable.
// Views that were put before count for nothing: others may not have seen the record in a list until now.
func (p *Publication) tag(ctx context.Context, e Entry) error {
	tag := RecordTag(p.image, e.Descriptor.Digest)
	if err := p.Put(ctx, tag, e.Descriptor.MediaType, e.bytes); err != nil {
		doc, readErr := p.Manifest(ctx, tag)
		if readErr != nil || doc.Digest != e.Descriptor.Digest {
			return err
		}
	}
	p.Tagged[e.Descriptor.Digest], p.viewStale = true, true
	return nil
}

// tagOthers does the same for other records that the fallback index does not hold, which their writers may have taken
// for listed there.
func (p *Publication) tagOthers(ctx context.Context, l Listing) *ViewError {
	if !l.Referrers {
		return nil // they have one
	}
	var without []string
	for _, ref := range l.notIndexed() {
		if digest, err := v1.NewHash(ref); err == nil && !p.isTagged(l, digest) {
			without = append(without, ref)
		}
	}
	entries, err := p.Entries(ctx, without, p.Known)
	if err != nil {
		return &ViewError{Tag: TagBase(p.image), Err: err}
	}
	for _, e := range entries {
		if e.Err != nil {
			continue
		}
		if err := p.tag(ctx, e); err != nil {
			return &ViewError{Tag: RecordTag(p.image, e.Descriptor.Digest), Err: err}
		}
	}
	return nil
}

// notIndexed returns what the fallback index does not name.
func (l Listing) notIndexed() []string {
	indexed := refs(l.indexed)
	return slices.DeleteFunc(refs(l.Pointers), func(ref string) bool { return slices.Contains(indexed, ref) })
}

// viewError says why a view was not written, and whether that is because its tag cannot be written twice.
func viewError(tag string, exists bool, err error) *ViewError {
	if err == nil {
		return nil
	}
	return &ViewError{Tag: tag, Immutable: exists && refusesRewriting(err), Err: err}
}

// refusesRewriting reports whether a registry answers as those with immutable tags do. They have many ways: 400 with
// TAG_INVALID, 403, 405, 409, 412, 423. The record itself was taken from the same client.
func refusesRewriting(err error) bool {
	var e *registry.Error
	if !errors.As(err, &e) || e.Op != "write manifest" {
		return false
	}
	switch e.Status {
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusPreconditionFailed,
		http.StatusLocked:
		return true
	case http.StatusBadRequest:
		var answer *transport.Error
		return errors.As(err, &answer) && slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool {
			return d.Code == transport.TagInvalidErrorCode
		})
	}
	return false
}

// Add stores the record, under a tag of its own or by its digest alone. cosign's tag shows whether there were records
// before, and so the config that they share. If that deceives, as after a copy of the tag alone, the registry refuses
// the record, and what it needs is uploaded.
func (p *Publication) Add(ctx context.Context, d Draft, l Listing, record Record) error {
	at, tagged := record.Digest.String(), !l.Referrers || !p.Views
	if tagged {
		at = RecordTag(d.Image, record.Digest)
	}
	if p.Configured = !p.Views || !l.View.byWriter(); p.Configured {
		if err := p.StoreConfig(ctx); err != nil {
			return err
		}
	}
	put := p.Put(ctx, at, types.OCIManifestSchema1, record.Bytes)
	if put != nil && !p.Configured || registry.LostBlob(put) {
		put = p.Push(ctx, at, types.OCIManifestSchema1, record.Bytes, d.Stored, []byte(registry.EmptyConfig))
	}
	// What can be read back is stored, even if the answer that said so was lost and the tag cannot be written twice.
	if err := p.readBack(ctx, at, record); err != nil {
		return cmp.Or(put, err)
	}
	p.Record, p.stored, p.Tagged[record.Digest] = record, d.Stored, tagged
	return nil
}

// readBack makes sure that what was written can be found and read.
func (r *Records) readBack(ctx context.Context, identifier string, want Record) error {
	doc, err := r.Manifest(ctx, identifier)
	if err == nil && !bytes.Equal(doc.Bytes, want.Bytes) {
		err = fmt.Errorf("the registry returns manifest %s", doc.Digest)
	}
	if err == nil {
		_, err = r.Content(ctx, parseEntry(doc, r.Options.Limits).Statements[0])
	}
	if err != nil {
		return registry.Wrap("read back", r.Ref(identifier), err)
	}
	return nil
}
