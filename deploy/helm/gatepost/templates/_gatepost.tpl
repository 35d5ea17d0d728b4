{{/* The name of everything: the release's, with the chart's where it does not say so. */}}
{{- define "gatepost.name" -}}
{{- if contains "gatepost" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-gatepost" (.Release.Name | trunc 41 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "gatepost.selector" -}}
app.kubernetes.io/name: gatepost
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gatepost.labels" -}}
{{ include "gatepost.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "gatepost.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "gatepost.servicePort" -}}
{{- .Values.service.port | default (not .Values.tls.secretName | ternary 80 443) -}}
{{- end -}}

{{/* The delay and the grace of the gateway, as the file has them. In a sidecar the server is gone when the gateway is told to
stop, and there is nothing left to wait for. */}}
{{- define "gatepost.delaySecs" -}}
{{- dig "drain" "delay_secs" (eq .Values.shape "sidecar" | ternary 0 5) .Values.config -}}
{{- end -}}
{{- define "gatepost.graceSecs" -}}
{{- dig "drain" "grace_secs" (eq .Values.shape "sidecar" | ternary 5 20) .Values.config -}}
{{- end -}}

{{/* What a schema cannot say. */}}
{{- define "gatepost.checked" -}}
{{- $many := or (gt (int .Values.replicas) 1) (and .Values.autoscaling.enabled (gt (int .Values.autoscaling.maxReplicas) 1)) -}}
{{- if and $many (not .Values.sessions.secretName) -}}
{{- fail "sessions.secretName: more than one gateway needs session keys that they share; deploy/README.md says how to make the Secret" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- fail "autoscaling: maxReplicas is less than minReplicas" -}}
{{- end -}}
{{- if eq .Values.ports.mcp .Values.ports.admin -}}
{{- fail "ports: mcp and admin must differ" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (ne .Values.admin.listen "pod") -}}
{{- fail "serviceMonitor: with admin.listen loopback Prometheus reaches nothing" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled .Values.tls.secretName (not .Values.httpRoute.backendTLSPolicy) -}}
{{- fail "httpRoute: the Gateway would speak plain http to a gateway with a certificate; leave tls.secretName empty, or bring a BackendTLSPolicy and set httpRoute.backendTLSPolicy" -}}
{{- end -}}
{{- if eq .Values.shape "sidecar" -}}
{{- range .Values.config.routes -}}
{{- $url := kindIs "map" .upstream | ternary (get (kindIs "map" .upstream | ternary .upstream dict) "url") .upstream | toString -}}
{{- if not (regexMatch "^https?://(127\\.[0-9.]+|\\[::1\\]|localhost)[:/]" $url) -}}
{{- fail (printf "config.routes: upstream %q is not on loopback: with shape sidecar the server stands beside the gateway, and listens on 127.0.0.1" $url) -}}
{{- end -}}
{{- end -}}
{{- if .Values.networkPolicy.servers -}}
{{- fail "networkPolicy.servers: with shape sidecar the server is in the gateway's own pod" -}}
{{- end -}}
{{- range .Values.server.containers -}}
{{- range .ports -}}
{{- if .hostPort -}}
{{- fail "server.containers: a hostPort leads round the gateway" -}}
{{- end -}}
{{- if or (eq (int .containerPort) (int $.Values.ports.mcp)) (eq (int .containerPort) (int $.Values.ports.admin)) -}}
{{- fail (printf "server.containers: port %d is the gateway's; set ports.mcp or ports.admin" (int .containerPort)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The routing file: what the values say, and what only the chart knows. */}}
{{- define "gatepost.file" -}}
{{- $file := deepCopy .Values.config -}}
{{- $_ := set $file "listen" (printf "0.0.0.0:%d" (int .Values.ports.mcp)) -}}
{{- $_ := set $file "admin" (dict "listen" (printf "%s:%d" (eq .Values.admin.listen "pod" | ternary "0.0.0.0" "127.0.0.1") (int .Values.ports.admin))) -}}
{{- $_ := set $file "tls" (not .Values.tls.secretName | ternary "external" (dict "certificate" "tls/tls.crt" "private_key" "tls/tls.key")) -}}
{{- $_ := set $file "drain" (dict "delay_secs" (include "gatepost.delaySecs" . | int) "grace_secs" (include "gatepost.graceSecs" . | int)) -}}
{{- if .Values.sessions.secretName -}}
{{- $keys := list -}}
{{- range .Values.sessions.keys -}}
{{- $keys = append $keys (dict "file" .) -}}
{{- end -}}
{{- $_ := set $file "sessions" (dict "keys" $keys) -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}

{{/* The gateway's container, as a list of one. */}}
{{- define "gatepost.container" -}}
{{- $pod := eq .Values.admin.listen "pod" -}}
- name: gatepost
  image: {{ include "gatepost.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- if eq .Values.shape "sidecar" }}
  # Starts before the server, runs beside it, and stops after it.
  restartPolicy: Always
  {{- end }}
  args: [run, --config, /etc/gatepost/gatepost.yaml, --log-format, {{ .Values.log.format }}, --log-level, {{ .Values.log.level }}]
  {{- with .Values.env }}
  env: {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - {name: mcp, containerPort: {{ .Values.ports.mcp }}}
    - {name: admin, containerPort: {{ .Values.ports.admin }}}
  startupProbe:
    {{- if $pod }}
    httpGet: {path: /livez, port: admin}
    {{- else }}
    tcpSocket: {port: mcp}
    {{- end }}
    periodSeconds: 1
    failureThreshold: 30
  livenessProbe:
    {{- if $pod }}
    httpGet: {path: /livez, port: admin}
    {{- else }}
    tcpSocket: {port: mcp}
    {{- end }}
    periodSeconds: 10
    timeoutSeconds: 3
  readinessProbe:
    {{- if $pod }}
    # Not ready: no issuer has usable keys, or it drains. It fails at once on SIGTERM.
    httpGet: {path: /readyz, port: admin}
    {{- else }}
    tcpSocket: {port: mcp}
    {{- end }}
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: 2
  resources: {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    privileged: false
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts:
    # The whole folder, never a subPath, which would not follow changes.
    - {name: gatepost, mountPath: /etc/gatepost, readOnly: true}
{{- end -}}

{{/* The file and what it names, as one folder: they change together. */}}
{{- define "gatepost.volume" -}}
- name: gatepost
  projected:
    # Only the gateway's container has it.
    defaultMode: 0444
    sources:
      - configMap:
          name: {{ include "gatepost.name" . }}
      {{- with .Values.sessions.secretName }}
      # All of its entries: another one is there without new pods.
      - secret: {name: {{ . }}}
      {{- end }}
      {{- with .Values.tls.secretName }}
      - secret:
          name: {{ . }}
          items:
            - {key: tls.crt, path: tls/tls.crt}
            - {key: tls.key, path: tls/tls.key}
      {{- end }}
      {{- range .Values.secrets }}
      - secret: {{- toYaml . | nindent 10 }}
      {{- end }}
{{- end -}}
