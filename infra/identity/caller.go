package identity

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config"
)

// Caller is the identity that runs the program, as Azure sees it.
type Caller struct {
	// ClientID is the GUID of the application that signed in.
	ClientID string `pulumi:"clientId"`
	// ObjectID is the GUID of the user or service principal.
	ObjectID string `pulumi:"objectId"`
	// SubscriptionID is the GUID of the subscription that resources go to.
	SubscriptionID string `pulumi:"subscriptionId"`
	// TenantID is the GUID of the Entra tenant.
	TenantID string `pulumi:"tenantId"`
}

// CurrentCaller asks the provider whom it signed in as. The answer is needed before anything is
// registered, in previews too, because ARM ids are spelled with the subscription.
//
// The function is called by its token: the SDK declares it only in the package of every
// authorization resource, which would triple what this program compiles.
func CurrentCaller(ctx *pulumi.Context, opts ...pulumi.InvokeOption) (Caller, error) {
	var caller Caller
	if err := ctx.Invoke("azure-native:authorization:getClientConfig", nil, &caller, opts...); err != nil {
		return Caller{}, fmt.Errorf("Azure does not say who is signed in; run `az login` or set the ARM_* variables: %w", err)
	}
	return caller, nil
}

// CheckSubscription returns an error unless the caller is signed in to the subscription that the
// environment belongs to: a forgotten `az account set` would otherwise create half of an
// environment in another one. An empty subscription means any.
func (c Caller) CheckSubscription(subscription string) error {
	if subscription == "" || strings.EqualFold(subscription, c.SubscriptionID) {
		return nil
	}
	return fmt.Errorf("signed in to subscription %s, but the stack is for %s; run `az account set --subscription %s`",
		c.SubscriptionID, subscription, subscription)
}

// Deployer is the identity that runs the platform's updates.
type Deployer struct {
	objectID string
	kind     PrincipalType
}

// LoadDeployer reads who runs updates, recording mistakes in r; the default is the caller, a
// person. When a person and a pipeline take turns, name one group or identity that both stand for:
// role assignments are replaced when their principal changes.
func LoadDeployer(r *config.Reader) Deployer {
	d := Deployer{
		objectID: r.String("deployerObjectId", ""),
		kind: PrincipalType(r.OneOf("deployerType", string(User),
			string(User), string(Group), string(ServicePrincipal))),
	}
	if d.objectID != "" {
		CheckObjectID(r, "deployerObjectId", d.objectID)
	}
	return d
}

// CheckObjectID records a mistake in key unless id is a GUID, the form of every id in Azure's
// directory.
func CheckObjectID(r *config.Reader, key, id string) {
	if _, err := uuid.Parse(id); err != nil {
		r.Check(key, fmt.Errorf("%q is no GUID; use the id that Azure shows, not a name", id))
	}
}

// Principal returns the configured deployer or, when none is configured, the caller.
func (d Deployer) Principal(caller Caller) Principal {
	if d.objectID == "" {
		return Principal{ID: pulumi.String(caller.ObjectID), Type: d.kind}
	}
	return Principal{ID: pulumi.String(d.objectID), Type: d.kind}
}
