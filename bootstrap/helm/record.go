package helm

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// installedBy is the description of each release that the platform installs. Helm writes it into
// the record when the release is deployed, and leaves it there when a later record supersedes that
// one. It distinguishes a release that Pulumi installed but could not record any more from one that
// was installed without Pulumi.
const installedBy = "installed by gridos-bootstrap"

// record is what Helm keeps of one revision of a release: a Secret
// sh.helm.release.v1.<release>.v<revision>.
type record struct {
	secret, uid string
	// status and revision are the Secret's labels (Helm 3, pkg/storage/driver/secrets.go).
	status, revision string
	description      string
}

// pending lists the statuses of an operation that is running, or whose process has died.
var pending = []string{"pending-install", "pending-upgrade", "pending-rollback"}

// staleForUpgrade returns the records that make Helm refuse an upgrade. The revision before
// them stays, so that the upgrade starts from the last that was finished.
func staleForUpgrade(list []record) []record {
	return slices.DeleteFunc(slices.Clone(list), func(r record) bool { return !slices.Contains(pending, r.status) })
}

// staleForInstall returns the records that make Helm refuse an installation, although Pulumi's
// state does not have the release: those of a release that was never deployed, and all of a release
// that the platform deployed. One record with the platform's description is enough. Helm describes
// a rollback as "Rollback to 3" (Helm 3.18.6, pkg/action/rollback.go), and the record that it went
// back to is superseded by then. After three failed updates in a row maxHistory has deleted that
// record too: the platform does not adopt such a release.
func staleForInstall(list []record) []record {
	ours := slices.ContainsFunc(list, func(r record) bool { return r.description == installedBy })
	return slices.DeleteFunc(slices.Clone(list), func(r record) bool {
		return (r.status == "deployed" || r.status == "superseded") && !ours
	})
}

type records struct {
	secrets dynamic.ResourceInterface
	list    []record
}

func listRecords(ctx context.Context, secrets dynamic.ResourceInterface, release string) (records, error) {
	found, err := secrets.List(ctx, metav1.ListOptions{LabelSelector: "owner=helm,name=" + release})
	if err != nil {
		return records{}, err
	}
	all := records{secrets: secrets}
	for _, item := range found.Items {
		description, err := descriptionIn(item.Object)
		if err != nil {
			return records{}, fmt.Errorf("secret %s: %w", item.GetName(), err)
		}
		labels := item.GetLabels()
		all.list = append(all.list, record{
			secret: item.GetName(), uid: string(item.GetUID()),
			status: labels["status"], revision: labels["version"],
			description: description,
		})
	}
	return all, nil
}

// remove deletes exactly the record that was read; if it is gone already, that is no error.
func (rs records) remove(ctx context.Context, r record) error {
	err := rs.secrets.Delete(ctx, r.secret, *metav1.NewPreconditionDeleteOptions(r.uid))
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// descriptionIn reads info.description of a record: JSON, gzipped, in base64, in a Secret, whose
// values are in base64 too.
func descriptionIn(secret map[string]any) (string, error) {
	text, _, err := unstructured.NestedString(secret, "data", "release")
	if err != nil {
		return "", err
	}
	zipped := []byte(text)
	for range 2 {
		if zipped, err = base64.StdEncoding.DecodeString(string(zipped)); err != nil {
			return "", fmt.Errorf("is no record of Helm 3: %w", err)
		}
	}
	reader, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return "", fmt.Errorf("is no record of Helm 3: %w", err)
	}
	var content struct {
		Info struct {
			Description string `json:"description"`
		} `json:"info"`
	}
	if err := json.NewDecoder(reader).Decode(&content); err != nil {
		return "", fmt.Errorf("is no record of Helm 3: %w", err)
	}
	return content.Info.Description, nil
}
