"""Looking inside a fitted THINClassifier: gate, tree and experts, row by row."""


class InsideViews:
    """Methods that show how the prediction of each row comes about."""

    def _infer_gate(self, X, function):
        """`function(gate, what it reads)` over all rows of X."""

        def read(module, x, gate_input=None, exogenous_logits=None):
            if gate_input is None:
                gate_input = module.represent(x, exogenous_logits)
            return function(module.gate, gate_input)

        return self._infer(X, read)

    def gate_proba(self, X):
        """Mixture weights g of the experts, whatever `inference` is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, n_experts), float32
            Rows sum to 1.
        """
        return self._infer_gate(X, lambda gate, h: gate(h))

    def apply(self, X):
        """Index of the most probable leaf, counted from left to right.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples,), int64
            In [0, 2^depth).
        """
        return self._infer_gate(X, lambda gate, h: gate.most_probable_leaf(h))

    def decision_path(self, X):
        """Probability of going left at every node of the tree, d_n.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, 2^depth - 1), float32
            Nodes level by level from the root.
        """
        return self._infer_gate(X, lambda gate, h: gate.decisions(h))

    def expert_proba(self, X):
        """Class probabilities of every single expert.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, [channels,] height, width)

        Returns
        -------
        ndarray of shape (n_samples, n_experts, n_classes), float32
        """

        def experts(module, x, gate_input=None, exogenous_logits=None):
            return module.experts(module.represent(x, exogenous_logits)).softmax(2)

        return self._infer(X, experts)
