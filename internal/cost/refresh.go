package cost

// Query finds a meter in Azure's retail price API (learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices).
type Query struct {
	Service string `yaml:"service"`
	Product string `yaml:"product"`
	Meter   string `yaml:"meter"`
	ArmSKU  string `yaml:"armSku"`
	// Region is the API's name of where the price holds, if that is no region of Azure.
	Region string `yaml:"region"`
	// Per is how many of the meter's units one of the API's has; none is one.
	Per float64 `yaml:"per"`
}
