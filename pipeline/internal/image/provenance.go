package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gridos/sharedinfra/pipeline/internal/provenance"
)

// largest is the size of the largest bundle that is read, in bytes; one of GitHub has some
// thousands.
const largest = 1 << 20

// attached is a manifest that names an image as its subject, as a signed provenance does.
type attached struct {
	digest   v1.Hash
	manifest v1.Image
	subject  *v1.Descriptor
	layers   []v1.Descriptor
}

// isProvenance reports whether it is a bundle of Sigstore, by its one layer: registries list
// different kinds for the same artifact.
func (a attached) isProvenance() bool {
	return len(a.layers) == 1 && a.layers[0].MediaType == provenance.MediaType && a.layers[0].Size <= largest
}

func asAttached(digest v1.Hash, found v1.Image, err error) (attached, error) {
	if err != nil {
		return attached{}, err
	}
	if err := same(digest, found); err != nil {
		return attached{}, err
	}
	manifest, err := found.Manifest()
	if err != nil {
		return attached{}, err
	}
	return attached{digest: digest, manifest: found, subject: manifest.Subject, layers: manifest.Layers}, nil
}

// pullProvenance adds the bundles to a layout that are attached to an image. Source:
// opencontainers/distribution-spec v1.1.0, "Listing Referrers".
func pullProvenance(ctx context.Context, of name.Digest, to layout.Path) error {
	referrers, err := remote.Referrers(of, options(ctx)...)
	if err != nil {
		return err
	}
	list, err := referrers.IndexManifest()
	if err != nil {
		return err
	}
	for _, one := range list.Manifests {
		if !one.MediaType.IsImage() {
			continue
		}
		manifest, err := remote.Image(of.Context().Digest(one.Digest.String()), options(ctx)...)
		found, err := asAttached(one.Digest, manifest, err)
		if err != nil {
			return err
		}
		if found.isProvenance() {
			if err := to.AppendImage(found.manifest); err != nil {
				return err
			}
		}
	}
	return nil
}

// Provenance returns the digest of the image in dir, and the bundles that are attached to it there.
func Provenance(dir string) (digest v1.Hash, bundles [][]byte, err error) {
	from, err := open(dir)
	if err != nil {
		return v1.Hash{}, nil, err
	}
	for _, one := range slices.DeleteFunc(from.attached, func(a attached) bool { return !a.isProvenance() }) {
		text, err := one.text()
		if err != nil {
			return v1.Hash{}, nil, fmt.Errorf("read the provenance of %s in %s: %w", from.image.Digest, dir, err)
		}
		bundles = append(bundles, text)
	}
	return from.image.Digest, bundles, nil
}

// text is that of the one layer.
func (a attached) text() (text []byte, err error) {
	layer, err := a.manifest.LayerByDigest(a.layers[0].Digest)
	if err != nil {
		return nil, err
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	return io.ReadAll(io.LimitReader(content, largest))
}
