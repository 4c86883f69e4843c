package world

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// Recover makes the states of the environment agree with Azure and the cluster, and returns the
// resources that it adopted. Strangers are resources that neither a state nor the program has.
func Recover(ctx context.Context, s site.Site, display *progress.Display,
) (adopted []string, strangers []azure.Resource, err error) {
	if !s.Exists() {
		return nil, nil, ErrNotUp(s)
	}
	m, e, overrides, err := begin(ctx, s, display, DeliveryAsItIs)
	if err != nil {
		return nil, nil, err
	}
	return m.recover(ctx, e, overrides)
}

// recover is Recover for an environment that is ready to work on.
func (m *machine) recover(ctx context.Context, e *engine.Engine, overrides engine.Overrides,
) (adopted []string, strangers []azure.Resource, err error) {
	for _, settle := range []func(context.Context) error{
		func(ctx context.Context) error { return daemon.WaitForCluster(ctx, m.site) },
		e.AwaitLeftovers, // these may still change what the next steps read
		m.awaitAzure,
		m.settleCluster,
	} {
		if err := settle(ctx); err != nil {
			return nil, nil, err
		}
	}
	control, err := daemon.Control(m.site)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	if adopted, err = e.Recover(ctx, overrides, m.find(ctx, control)); err != nil {
		return nil, nil, err
	}
	// A process that was left running may have destroyed everything.
	if err := m.endRemoval(ctx); err != nil {
		return nil, nil, err
	}
	known, err := e.AzureIDs(ctx)
	if err != nil {
		return nil, nil, err
	}
	strangers, err = unknownTo(ctx, known, m.site)
	return adopted, strangers, err
}

// deletionEnd is how long the deletion of a namespace may take if no finalizer holds it.
const deletionEnd = time.Minute

// settleCluster removes objects from the cluster that a refresh would see although they will not
// stay.
func (m *machine) settleCluster(ctx context.Context) error {
	clients, err := kube.Connect(m.site.KubeconfigFile())
	if err != nil {
		return err
	}
	if err := dropUnfinishedReleases(ctx, clients.Core); err != nil {
		return err
	}
	return awaitDeletions(ctx, clients.Core)
}

// awaitDeletions waits for the namespaces that a killed removal has begun to delete: they can still
// be read, and will not stay.
func awaitDeletions(ctx context.Context, client kubernetes.Interface) error {
	var going []string
	err := wait.PollUntilContextTimeout(ctx, deletionEnd/100, deletionEnd, true, func(ctx context.Context) (bool, error) {
		list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		going = nil
		for _, namespace := range list.Items {
			if namespace.Status.Phase == corev1.NamespaceTerminating {
				going = append(going, namespace.Name)
			}
		}
		return len(going) == 0, nil
	})
	if err != nil && len(going) > 0 {
		return fmt.Errorf("%w: namespaces are still being deleted: %s; `kubectl get namespace -o yaml` says what holds them, "+
			"and docs/recovery.md what to do about an Application", err, strings.Join(going, ", "))
	}
	return err
}

// dropUnfinishedReleases deletes Helm's records of operations during which it was killed. With
// these records a refresh would take a half-upgraded or half-deleted release for whole. The objects
// that Helm has installed stay, and the next installation takes them over.
func dropUnfinishedReleases(ctx context.Context, client kubernetes.Interface) error {
	unfinished := metav1.ListOptions{
		LabelSelector: "owner=helm,status in (pending-install,pending-upgrade,pending-rollback,uninstalling)",
	}
	list, err := client.CoreV1().Secrets(metav1.NamespaceAll).List(ctx, unfinished)
	if err != nil {
		return err
	}
	for _, record := range list.Items {
		err := client.CoreV1().Secrets(record.Namespace).Delete(ctx, record.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// find returns a function that finds a resource of the program in the simulated Azure, and an
// Application in the cluster. It first recovers a soft-deleted vault, because its name is taken and
// its content is worth keeping.
func (m *machine) find(ctx context.Context, control *azure.Control) engine.FindID {
	return func(typ string, inputs map[string]any) (string, bool, error) {
		if typ == "kubernetes:argoproj.io/v1alpha1:Application" {
			return m.findApplication(ctx, inputs)
		}
		id, softDeleted, exists, err := control.Lookup(ctx, typ, inputs)
		if softDeleted {
			err = control.Undelete(ctx, id)
		}
		return id, exists && err == nil, err
	}
}

func (m *machine) findApplication(ctx context.Context, inputs map[string]any) (id string, exists bool, err error) {
	object := unstructured.Unstructured{Object: inputs}
	clients, err := kube.Connect(m.site.KubeconfigFile())
	if err != nil {
		return "", false, err
	}
	_, err = clients.Objects.Resource(argo.Applications).Namespace(object.GetNamespace()).
		Get(ctx, object.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", false, nil
	}
	return object.GetNamespace() + "/" + object.GetName(), err == nil, err
}
