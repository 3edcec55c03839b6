package tekton

// LabelValue is what a label holds of a text.
var LabelValue = labelValue
