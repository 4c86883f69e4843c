package daemon

import (
	"context"
	"errors"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/cluster/standins"
)

// readSecret acts as Entra ID and Key Vault for a workload of the cluster. Entra ID verifies a
// token with the keys that the cluster publishes; here the API server, which has them, verifies it.
// The simulated vault does not store secret values, and nothing reads them: a version stands for
// its value. The secrets that no program makes, but people put into the vault, are in byHand with
// their values.
func readSecret(
	ctx context.Context, client kubernetes.Interface, cloud *azure.Cloud, byHand map[string]string, request standins.SecretRequest,
) (string, error) {
	review, err := client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: request.Token, Audiences: []string{azure.ExchangeAudience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("verify the token: %w", err)
	}
	if !review.Status.Authenticated {
		return "", fmt.Errorf("AADSTS700211: the assertion is no token of the cluster for %s: %s",
			azure.ExchangeAudience, review.Status.Error)
	}
	login := azure.WorkloadLogin{ClientID: request.ClientID, Subject: review.Status.User.Username, Audience: azure.ExchangeAudience}
	version, err := cloud.SecretVersion(login, request.VaultURL, request.Name)
	if value, there := byHand[request.Name]; there && errors.Is(err, azure.ErrSecretNotFound) {
		return value, nil
	}
	return version, err
}
