// The model of this page, from what Python wrote into it.

const KINDS = {
  classifier: Classifier,
  multi_label: MultiLabel,
  pair_classifier: PairClassifier,
  tagger: Tagger,
  language_model: LanguageModel,
  translator: Translator,
};

function makeModel(description, base64) {
  return new KINDS[description.kind](description, readWeights(description.tensors, base64));
}
