// Reads the paths of JSON files that hold a list of custom resources each, and says what is wrong with them by the schemas
// that their own projects publish. Exit status: 0 nothing is wrong, 1 something is, or a kind is not known.

import { readFileSync } from 'node:fs';

const models = {
  'gateway.networking.k8s.io/v1 HTTPRoute': '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute',
  'monitoring.coreos.com/v1 ServiceMonitor':
    '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor',
};
let faults = 0;
for (const path of process.argv.slice(2)) {
  for (const resource of JSON.parse(readFileSync(path, 'utf8'))) {
    const kind = `${resource.apiVersion} ${resource.kind}`;
    try {
      if (!models[kind]) throw new Error('no schema of it is known');
      const { [resource.kind]: Model } = await import(models[kind]);
      new Model(resource).validate();
    } catch (error) {
      faults += 1;
      console.log(`${path}: ${kind}: ${error.message}`);
    }
  }
}
process.exit(faults === 0 ? 0 : 1);
