package pulumicli

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Resources returns the resources in a state that the CLI has exported, in the order in which they
// were registered. A stack that was never updated has none.
func Resources(state apitype.UntypedDeployment) ([]apitype.ResourceV3, error) {
	if len(state.Deployment) == 0 {
		return nil, nil
	}
	var deployment apitype.DeploymentV3
	if err := json.Unmarshal(state.Deployment, &deployment); err != nil {
		return nil, fmt.Errorf("the stack's state is malformed: %w", err)
	}
	return deployment.Resources, nil
}
