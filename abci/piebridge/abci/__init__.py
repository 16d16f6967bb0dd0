"""ABCI 2.0: messages, the Application base class and the engines that drive an application."""
