package attest

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
)

// maxRounds bounds how often views are rebuilt by one writer. 16 writers at once need two or three.
const maxRounds = 32

// A publication enters the record of an image into its lists, and into what other tools read.
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
type publication struct {
	*records
	image  name.Digest
	known  memory
	views  bool
	record Record           // it must be in two lists in the end; zero if there is none
	stored []byte           // blob that holds the statement, if this call has uploaded it
	tagged map[v1.Hash]bool // records that this call gave a tag of their own

	viewRead   bool // cosign's tag was just read, and need not be read again before it is rebuilt
	viewStale  bool // cosign's tag must be read again, since the record was not listed when it was written
	configured bool // the config of the record is stored

	attErr, indexErr *ViewError // why a view cannot be written; it is not tried again
	full             *ViewError // cosign's tag is written, and cannot show all that it could if there were fewer
}

func (r *records) publication(image name.Digest, known memory, views bool) *publication {
	return &publication{records: r, image: image, known: known, views: views, tagged: map[v1.Hash]bool{}, viewRead: true}
}

// run publishes what l lists, and p.record, until nothing is missing. It returns the last list.
func (p *publication) run(ctx context.Context, l listing) (listing, error) {
	held := p.holds(l)
	if p.record.Bytes != nil {
		own := parseEntry(document{p.record.Bytes, types.OCIManifestSchema1, p.record.Digest}, p.opts.Limits)
		p.known[p.record.Digest.String()], p.known[recordTag(p.image, p.record.Digest)] = own, own
	}
	p.unite(&l)
	rounds := 0
	l, err := retry(ctx, p.opts.oneMore(), isUnlisted, func() (listing, error) {
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
				return listing{}, err
			}
			if held = held || p.holds(l); !held {
				return listing{}, p.missed(ctx)
			}
		}
		return l, &ViewError{Tag: viewTag(p.image), Err: fmt.Errorf("others rewrote it %d times", maxRounds)}
	})
	if isUnlisted(err) {
		err = p.unlisted()
	}
	return l, unfinished(ctx, "list records", p.name.Name(), err)
}

// look reads the record lists. A registry that has said that it has no referrers API is not asked for it again.
func (p *publication) look(ctx context.Context, l listing) (listing, error) {
	again := p.viewStale && p.views
	l, err := p.read(ctx, p.image, l, lists{referrers: l.referrers, tags: true, view: again})
	p.viewRead, p.viewStale = again, false
	p.unite(&l)
	return l, err
}

// unite puts all lists together, and the record, which none may name yet.
func (p *publication) unite(l *listing) {
	l.pointers = l.union(l.view.named)
	if p.record.Bytes != nil {
		l.pointers = unionOfPointers(l.pointers, []pointer{{ref: p.record.Digest.String()}})
	}
}

// errUnlisted says that the registry does not list a record that it has stored.
var errUnlisted = errors.New("the record is stored, but the registry does not list it")

func isUnlisted(err error) bool { return err == errUnlisted }

// missed gives the record a tag of its own. There are registries, and proxies before them, that answer for referrers
// and list none, or list them late.
func (p *publication) missed(ctx context.Context) error {
	if !p.tagged[p.record.Digest] {
		_ = p.tagOwn(ctx) // a failure shows in the next list
	}
	p.viewStale = true
	return errUnlisted
}

func (p *publication) unlisted() error {
	err := errUnlisted
	if view := p.viewErrors(); view != nil {
		err = fmt.Errorf("%w (%v)", err, view) // not wrapped, since a ViewError would say that all is well
	}
	return &RegistryError{Op: "list records", Ref: p.ref(p.record.Digest.String()), Err: err}
}

// holds reports whether the record is in the list that cannot be rewritten: the referrers API, or the tags of single
// records.
func (p *publication) holds(l listing) bool {
	digest := p.record.Digest
	if p.record.Bytes == nil || slices.ContainsFunc(l.listed,
		func(listed pointer) bool { return listed.ref == digest.String() }) {
		return true
	}
	return slices.Contains(l.tags, recordTag(p.image, digest))
}

func (p *publication) viewErrors() error {
	if !p.views {
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
func (p *publication) rebuild(ctx context.Context, l *listing) (changed bool, err error) {
	if !p.views {
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
func (p *publication) secondList(ctx context.Context, l listing) error {
	if p.record.Bytes == nil || p.isTagged(l, p.record.Digest) {
		return nil
	}
	err := p.tagOwn(ctx)
	if err == nil {
		return nil
	}
	out := &RegistryError{Op: "write manifest", Ref: p.ref(recordTag(p.image, p.record.Digest))}
	var failed *RegistryError
	if errors.As(err, &failed) { // of the same request
		out.Status, err = failed.Status, failed.Err
	}
	out.Err = fmt.Errorf("the record is stored, and is in one list only: %w", err)
	return out
}

func (p *publication) isTagged(l listing, digest v1.Hash) bool {
	return p.tagged[digest] || slices.Contains(l.tags, recordTag(p.image, digest))
}

func (p *publication) tagOwn(ctx context.Context) error {
	return p.tag(ctx, p.known[p.record.Digest.String()])
}

// tag gives a record a tag of its own. A tag that leads there already may be refused, where tags are immutable.
// Views that were put before count for nothing: others may not have seen the record in a list until now.
func (p *publication) tag(ctx context.Context, e entry) error {
	tag := recordTag(p.image, e.descriptor.Digest)
	if err := p.put(ctx, tag, e.descriptor.MediaType, e.bytes); err != nil {
		doc, readErr := p.manifest(ctx, tag)
		if readErr != nil || doc.digest != e.descriptor.Digest {
			return err
		}
	}
	p.tagged[e.descriptor.Digest], p.viewStale = true, true
	return nil
}

// tagOthers does the same for other records that the fallback index does not hold, which their writers may have taken
// for listed there.
func (p *publication) tagOthers(ctx context.Context, l listing) *ViewError {
	if !l.referrers {
		return nil // they have one
	}
	var without []string
	for _, ref := range l.notIndexed() {
		if digest, err := v1.NewHash(ref); err == nil && !p.isTagged(l, digest) {
			without = append(without, ref)
		}
	}
	entries, err := p.entries(ctx, without, p.known)
	if err != nil {
		return &ViewError{Tag: tagBase(p.image), Err: err}
	}
	for _, e := range entries {
		if e.err != nil {
			continue
		}
		if err := p.tag(ctx, e); err != nil {
			return &ViewError{Tag: recordTag(p.image, e.descriptor.Digest), Err: err}
		}
	}
	return nil
}

// notIndexed returns what the fallback index does not name.
func (l listing) notIndexed() []string {
	indexed := refs(l.indexed)
	return slices.DeleteFunc(refs(l.pointers), func(ref string) bool { return slices.Contains(indexed, ref) })
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
	var e *RegistryError
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

// add stores the record, under a tag of its own or by its digest alone. cosign's tag shows whether there were records
// before, and so the config that they share. If that deceives, as after a copy of the tag alone, the registry refuses
// the record, and what it needs is uploaded.
func (p *publication) add(ctx context.Context, d draft, l listing, record Record) error {
	at, tagged := record.Digest.String(), !l.referrers || !p.views
	if tagged {
		at = recordTag(d.image, record.Digest)
	}
	if p.configured = !p.views || !l.view.byWriter(); p.configured {
		if err := p.storeConfig(ctx); err != nil {
			return err
		}
	}
	put := p.put(ctx, at, types.OCIManifestSchema1, record.Bytes)
	if put != nil && !p.configured || lostBlob(put) {
		put = p.push(ctx, at, types.OCIManifestSchema1, record.Bytes, d.stored, []byte(emptyConfig))
	}
	// What can be read back is stored, even if the answer that said so was lost and the tag cannot be written twice.
	if err := p.readBack(ctx, at, record); err != nil {
		return cmp.Or(put, err)
	}
	p.record, p.stored, p.tagged[record.Digest] = record, d.stored, tagged
	return nil
}

// readBack makes sure that what was written can be found and read.
func (r *records) readBack(ctx context.Context, identifier string, want Record) error {
	doc, err := r.manifest(ctx, identifier)
	if err == nil && !bytes.Equal(doc.bytes, want.Bytes) {
		err = fmt.Errorf("the registry returns manifest %s", doc.digest)
	}
	if err == nil {
		_, err = r.content(ctx, parseEntry(doc, r.opts.Limits).statements[0])
	}
	if err != nil {
		return registryError("read back", r.ref(identifier), err)
	}
	return nil
}
