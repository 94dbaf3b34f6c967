"""HAProxy as data plane: which one, its configuration, its runtime socket, its complaints."""
