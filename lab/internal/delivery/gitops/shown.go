package gitops

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/page"
	"github.com/gridos/sharedinfra/lab/internal/delivery/traffic"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
)

// show lets the page follow the delivery until ctx is done.
func (s *Server) show(ctx context.Context, clients *kube.Clients, users *traffic.Traffic) error {
	observer, err := argo.Observe(ctx, clients.Objects, naming.NamespaceGridOS+"-"+s.options.Environment)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	defer observer.Stop()
	s.options.Page.Follow(ctx, page.Source{
		Observer: observer, Branch: s.options.Branch, Application: s.status().Application,
		Object:  func(ctx context.Context, kind, name string) ([]byte, error) { return object(ctx, clients, kind, name) },
		Answers: func() []page.Answers { return answersOf(users.Seen()) },
	})
	return nil
}

func answersOf(seen traffic.Seen) []page.Answers {
	all := []page.Answers{{Requests: seen.Unanswered, Failed: seen.Unanswered}}
	for _, revision := range seen.Revisions {
		all = append(all, page.Answers{Revision: revision.Hash, Requests: revision.Requests, Failed: revision.Failed})
	}
	return all
}

// shownKinds are the kinds of which the page shows objects. None has a secret in it.
var shownKinds = map[string]struct {
	kind      schema.GroupVersionResource
	namespace string
}{
	"applications":    {argo.Applications, naming.NamespaceArgoCD},
	"rollouts":        {argo.Rollouts, naming.NamespaceGridOS},
	"analysisruns":    {argo.AnalysisRuns, naming.NamespaceGridOS},
	"virtualservices": {argo.VirtualServices, naming.NamespaceGridOS},
}

// object returns an object as YAML.
func object(ctx context.Context, clients *kube.Clients, kind, name string) ([]byte, error) {
	known, shown := shownKinds[kind]
	if !shown {
		return nil, page.ErrNoObject
	}
	found, err := clients.Objects.Resource(known.kind).Namespace(known.namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, page.ErrNoObject
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	found.SetManagedFields(nil)
	return yaml.Marshal(found.Object)
}
