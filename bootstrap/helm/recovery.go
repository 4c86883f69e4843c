package helm

import (
	"context"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// recoveryTimeout bounds each request to the API server, so that a cluster that is gone is an error
// and not a wait.
const recoveryTimeout = 30 * time.Second

// RecoverReleases lets every release that the program registers after this call survive an update
// that was killed. Helm's only lock is the status of its newest record: when the process that set
// it has died, nothing ever changes that status, and each later attempt fails with "another
// operation is in progress" or "cannot re-use a name that is still in use" (pulumi-kubernetes
// issues 2054, 2751 and 2758). Before a release is created or updated, the records that a killed
// update left are deleted; the chart's objects stay, and Helm adopts them again by their labels and
// annotations. A preview deletes nothing.
//
// Pulumi's lock on the stack guarantees that no other update works on the release: Pulumi takes it
// before the program starts. Installations without Pulumi are not expected in the platform's
// namespaces.
//
// It is a transformation of the stack, and not part of NewRelease, because only the program has the
// kubeconfig: it is the one that the provider of the releases uses.
func RecoverReleases(ctx *pulumi.Context, kubeconfig pulumi.StringInput) error {
	if ctx.RunningWithMocks() {
		return nil // there are no hooks under mocks
	}
	var text string
	known := make(chan struct{})
	kubeconfig.ToStringOutput().ApplyT(func(value string) string {
		text = value
		close(known)
		return ""
	})
	hook := func(stale func([]record) []record) pulumi.ResourceHookFunction {
		return func(args *pulumi.ResourceHookArgs) error {
			// The provider of the releases needs the same value: this is no wait, only an order.
			select {
			case <-known:
				return removeRecords(ctx, text, args.NewInputs, stale)
			case <-ctx.Context().Done():
				return ctx.Context().Err()
			}
		}
	}
	create, err := ctx.RegisterResourceHook("helm-release-before-create", hook(staleForInstall), nil)
	if err != nil {
		return err
	}
	update, err := ctx.RegisterResourceHook("helm-release-before-update", hook(staleForUpgrade), nil)
	if err != nil {
		return err
	}
	binding := &pulumi.ResourceHookBinding{
		BeforeCreate: []*pulumi.ResourceHook{create},
		BeforeUpdate: []*pulumi.ResourceHook{update},
	}
	return ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		if args.Type != ReleaseToken {
			return nil
		}
		return &pulumi.ResourceTransformationResult{
			Props: args.Props,
			Opts:  append(args.Opts[:len(args.Opts):len(args.Opts)], pulumi.ResourceHooks(binding)),
		}
	})
}

// removeRecords deletes the stale ones among the records that Helm keeps of the release with those
// inputs.
func removeRecords(ctx *pulumi.Context, kubeconfig string, inputs resource.PropertyMap, stale func([]record) []record) error {
	name, namespace := textOf(inputs["name"]), textOf(inputs["namespace"])
	records, err := readRecords(ctx.Context(), kubeconfig, namespace, name)
	if err != nil {
		return fmt.Errorf("release %s: look for what a killed update left in namespace %s: %w", name, namespace, err)
	}
	for _, r := range stale(records.list) {
		if err := records.remove(ctx.Context(), r); err != nil {
			return fmt.Errorf("release %s: remove record %s, which a killed update left: %w", name, r.secret, err)
		}
		message := fmt.Sprintf("release %s: an update was killed and left revision %s %s; its record is removed, what it installed "+
			"is taken over", name, r.revision, r.status)
		if err := ctx.Log.Warn(message, nil); err != nil {
			return err
		}
	}
	return nil
}

// textOf is a text among the inputs of a resource, which may be secret or carry what it depends on.
func textOf(value resource.PropertyValue) string {
	switch {
	case value.IsSecret():
		return textOf(value.SecretValue().Element)
	case value.IsOutput():
		return textOf(value.OutputValue().Element)
	case value.IsString():
		return value.StringValue()
	default:
		return ""
	}
}

// newSecrets returns a client for the Secrets of a namespace. The dynamic one compiles no API
// group.
func newSecrets(kubeconfig, namespace string) (dynamic.ResourceInterface, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(kubeconfig))
	if err != nil {
		return nil, err
	}
	config.Timeout = recoveryTimeout
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(namespace), nil
}

func readRecords(ctx context.Context, kubeconfig, namespace, name string) (records, error) {
	secrets, err := newSecrets(kubeconfig, namespace)
	if err != nil {
		return records{}, err
	}
	return listRecords(ctx, secrets, name)
}
